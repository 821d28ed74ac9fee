"""Grades an answer's text against the values an exercise expects.

Only what follows the last closing thinking tag counts, and of that the last line with 答案 (or "answer", or a box). Spacing,
full-width characters, LaTeX, Markdown, thousands separators and an added "(mod n)" do not matter. Where a text leaves a doubt
about what it claims, it is unreadable, never guessed at.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Struct

from data.errors import DataError
from data.exercises.answer import Bezout, Bits, Bytes, Choice, Letters, Number, Point, Text, Value

REASONS = {
    "equal": "the answer is the expected one",
    "different": "the answer is another value",
    "not_reduced": "the answer is congruent to the expected value but not reduced",
    "unclosed_thinking": "the thinking block is never closed, so there is no answer yet",
    "empty": "nothing follows the thinking block",
    "not_found": "the answer names no value of the kind that is asked for",
    "several": "the answer names more than one value",
    "denied": "the answer says what the value is not",
}
"""What each reason of a verdict means."""

_CLOSING = re.compile(r"<\s*/\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_OPENING = re.compile(r"<\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_MARKER = re.compile(r"(?:最终)?答案(?:是|为)?\s*[:=]?|\b(?:final\s+)?answer(?:\s+is)?\s*[:=]?|(?=\\boxed)", re.IGNORECASE)
_DENIAL = re.compile(r"不是|并非|不等于|≠|\\neq?\b|\bnot\b", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"(?:或|\bor\b|[/~至到])\D{0,8}\d", re.IGNORECASE)
_INFINITY = "无穷远点"
_LONGEST_ANSWER = 10_000
"""Characters at the end of an answer that are looked at: the statement stands there, and matching stays quick whatever comes."""

_SIGN = r"\s*(?:的?值|编码|字节|结果)?\s*(?:=|≡|:|是|为|等于)\s*"


class Verdict(Struct, frozen=True):
    """state: right, wrong or unreadable.  reason: a key of `REASONS`.  name: the value the reason is about, '' for all.
    expected, seen: that value as it should be and as it was read."""

    state: str
    reason: str
    name: str = ""
    expected: str = ""
    seen: str = ""


class Answered(Struct, frozen=True):
    """What of an exercise's record grading needs. response: what a model said; without one `output` is graded."""

    expected: Annotated[tuple[Value, ...], msgspec.Meta(min_length=1)]
    family: str = ""
    id: str = ""
    difficulty: int = 0
    response: str | None = None
    output: str = ""


class Graded(Struct, frozen=True):
    """A line of a grading: which exercise, and its verdict."""

    id: str
    family: str
    difficulty: int
    state: str
    reason: str
    name: str
    expected: str
    seen: str


def grade_lines(lines: Iterable[bytes], source: str) -> Iterator[Graded]:
    """A verdict for every line, blank ones left out. Raises DataError with source and line for what is no exercise."""
    decoder = msgspec.json.Decoder(Answered)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(
                f"{source}:{number}: is no exercise ({error}); grade files that `danlu make-data` made, with a 'response' added"
            ) from None
        verdict = grade(one.expected, one.output if one.response is None else one.response)
        yield Graded(one.id, one.family, one.difficulty, *msgspec.structs.astuple(verdict))


def grade(expected: tuple[Value, ...], text: str) -> Verdict:
    """The verdict on `text`, an assistant's whole answer with or without its thinking: the first value that is not right decides."""
    closings = list(_CLOSING.finditer(text))
    answer = text[closings[-1].end() :] if closings else text
    if _OPENING.search(answer):
        return Verdict("unreadable", "unclosed_thinking")
    if not answer.strip():
        return Verdict("unreadable", "empty")
    line, is_marked = _final(_plain(answer[-_LONGEST_ANSWER:]))
    if is_marked and _DENIAL.search(line):
        return Verdict("unreadable", "denied", seen=line)
    for value in expected:
        verdict = _grade_one(value, expected, line, is_marked)
        if verdict.state != "right":
            return verdict
    return Verdict("right", "equal")


def _grade_one(value: Value, expected: tuple[Value, ...], line: str, is_marked: bool) -> Verdict:
    found = _claims(value, expected, line, is_marked)
    if len(found) != 1:
        return Verdict("unreadable", "several" if found else "not_found", value.name, value.written(), " | ".join(map(_shown, found)))
    if (seen := found[0]) == _wanted(value) or _is_other_solution(value, seen):
        return Verdict("right", "equal", value.name, value.written(), _shown(seen))
    is_congruent = isinstance(value, Number) and value.modulus and (seen - value.value) % value.modulus == 0
    return Verdict("wrong", "not_reduced" if is_congruent else "different", value.name, value.written(), _shown(seen))


def _plain(text: str) -> str:
    """The text with one way of writing where several mean the same."""
    text = text.replace("，", ", ").replace("、", ", ").replace("：", ":").replace("。", ". ").replace("；", "; ")
    text = re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFKC", text)))
    text = re.sub(r"\\(?:text|mathrm|mathbf|texttt|operatorname)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\bx\s*=\s*(-?\d+)\s*[,;]?\s*(?:和|and)?\s*y\s*=\s*(-?\d+)", r"(x, y) = (\1, \2)", text)
    for old, new in (("\\equiv", "≡"), ("\\varphi", "φ"), ("\\phi", "φ"), ("−", "-"), ("–", "-"), ("\\left", ""), ("\\right", "")):
        text = text.replace(old, new)
    return re.sub(r"[*`$「」『』“”‘’\"']|\\[,;! ()\[\]]", "", re.sub(r"\\{1,2}[pb]?mod\b", " mod ", text))


def _final(text: str) -> tuple[str, bool]:
    """(the line that states the answer, True), or (the whole text on one line, False) where none says that it does."""
    marks = list(_MARKER.finditer(text))
    for mark in reversed(marks):
        rest = text[mark.end() :].strip()
        if rest:
            line = rest.splitlines()[0]
            return re.sub(r"\\boxed\s*\{(.*)\}", r"\1", line).strip(), True
    return " \n ".join(text.splitlines()), False


def _claims(value: Value, expected: tuple[Value, ...], line: str, is_marked: bool) -> list:
    """The different values that the line gives under the value's name; without its name, where that leaves no doubt."""
    stop = "|".join(_called(other) for other in expected)
    chunks = [match[1] for match in re.finditer(rf"{_called(value)}(.*?)(?={stop}|\n|$)", line)]
    if chunks:
        read = [seen for chunk in chunks if (seen := _read_one(value, chunk)) is not None]
        return _different(read) if is_marked else read[-1:]
    if len(expected) == 1:
        return _different(_read_all(value, line))
    return _by_place(value, expected, line) if is_marked and not re.search(stop, line) else []


def _called(value: Value) -> str:
    """The value's name, with any spacing and with an argument (φ(n), gcd(12, 8)), and a sign of equality."""
    name = r"\s*".join(map(re.escape, _plain(value.name).replace(" ", "")))
    return rf"(?<![A-Za-z0-9_]){name}(?:\s*\([^()=]{{0,40}}\))?{_SIGN}"


def _by_place(value: Value, expected: tuple[Value, ...], line: str) -> list:
    """The values of a list without names, in the order they were asked for; only where all are numbers and none is missing."""
    numbers = _read_all(value, line) if all(isinstance(one, Number) for one in expected) else []
    return [numbers[expected.index(value)]] if len(numbers) == len(expected) else []


def _read_one(value: Value, chunk: str):
    """What stands at the beginning of `chunk`."""
    if isinstance(value, Number):
        return _end_of_chain(_without_modulus(re.split(r"[,;。]\s|\. |\n", chunk)[0]))
    match = re.match(rf"[\s(\[{{]*?({_pattern(value)})", chunk)
    return None if match is None else _normal(value, match[1])


def _end_of_chain(clause: str) -> int | None:
    """The number that `3 × 9 = 27` comes to; words end the chain (`27 because 3 × 27 = 81`), an open expression gives nothing."""
    found = None
    for part in re.split(r"[=≡]", clause):
        match = re.match(rf"\s*({_PATTERNS[Number]})\s*(?P<rest>.*)", part, re.DOTALL)
        rest = match["rest"] if match else ""
        found = _number(match[1]) if match and not re.match(r"[\^×·*/+\d-]|\(\s*-?\d", rest) and not _ALTERNATIVE.match(rest) else None
        if re.search(r"[^\W\d_]|\(", part):
            break
    return found


def _without_modulus(text: str) -> str:
    return re.sub(r"\(?\s*\bmod\s*\{?\s*\w+\s*\}?\s*\)?", " ", text)


def _read_all(value: Value, line: str) -> list:
    """Every value of the kind in a line that names none; of an equation only the right side."""
    if isinstance(value, Number):
        line = _without_modulus(line)
        line = re.sub(r"[^,;。\n=≡]*[=≡]", " ", line) if re.search("[=≡]", line) else line
    pattern = _pattern(value)
    if isinstance(value, Letters) and re.search(_CAPITALS, line):
        pattern = _CAPITALS
    return [_normal(value, found) for found in re.findall(pattern, line)]


_CAPITALS = r"\b[A-Z]{2,}(?:[ -]+[A-Z]{2,})*\b"
"""Letters that stand out of a sentence in Latin script."""
_HEX = r"(?:0x)?[0-9A-Fa-f]{2}(?![0-9A-Za-z])|(?:0x)?(?:[0-9A-Fa-f]{2}){2,}(?![0-9A-Za-z])"
_PAIR = r"\(\s*-?\d{1,400}\s*,\s*-?\d{1,400}\s*\)"
_PATTERNS = {
    Number: r"(?<![\w^])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,400})(?![\w^])",
    Bezout: _PAIR,
    Point: rf"{_PAIR}|无穷远点?|∞|\\infty|\bO\b",
    Letters: r"[A-Za-z](?:[A-Za-z \-]*[A-Za-z])?",
    Bytes: rf"(?:{_HEX})(?:[\s:,]*(?:{_HEX}))*",
    Bits: r"(?<![\w])[01](?:[\s,]*[01])*(?!\w)",
    Text: r"[A-Za-z0-9+/]+={0,2}",
}


def _pattern(value: Value) -> str:
    """How a value of this kind is written."""
    if isinstance(value, Choice):
        return "|".join(sorted(value.words, key=len, reverse=True))
    return _PATTERNS[type(value)]


def _normal(value: Value, written: str):
    """One form for all ways of writing a value."""
    match value:
        case Number():
            return _number(written)
        case Bezout() | Point():
            pair = re.findall(r"-?\d+", written)
            return tuple(map(int, pair)) if pair else _INFINITY
        case Letters():
            return re.sub(r"[^A-Z]", "", written.upper())
        case Bytes():
            return re.sub(r"0X|[^0-9A-F]", "", written.upper())
        case Bits():
            return re.sub(r"[^01]", "", written)
        case _:
            return written


def _number(written: str) -> int:
    return int(written.replace(",", ""))


def _wanted(value: Value):
    return _INFINITY if value.value is None else value.value


def _is_other_solution(value: Value, seen) -> bool:
    return isinstance(value, Bezout) and value.a * seen[0] + value.b * seen[1] == value.gcd


def _different(values: list) -> list:
    return list(dict.fromkeys(values))


def _shown(seen) -> str:
    return "({}, {})".format(*seen) if isinstance(seen, tuple) else str(seen)

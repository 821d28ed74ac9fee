"""All checks on what the records say, in one pass: damage, language, quality, doubtful standards, cryptography terms.

The checks themselves are in `data.quality`, `data.mojibake`, `data.chinese`, `data.terms` and `data.standards`; here they become
`Fault`s with a line, a field and a code. Nothing is changed.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from data import quality
from data.chinese import invisible_characters, main_language, script_of
from data.conversation import Conversation
from data.fixes import difference, fixed
from data.mojibake import looks_garbled
from data.record import Fault, Record
from data.standards import doubt
from data.terms import VALUES, Term, find_terms
from data.thinking import has_tag, odd_tags

NO_LETTERS = "none"
"""Language of a record without a letter."""
ENOUGH = 4_000
"""Characters of a record that its language and script are told by."""

DAMAGE = {
    "garbled": "the text was once read in the wrong encoding and shows it; take the fix, or the record from its source again",
    "invisible_characters": "characters that show nothing or turn the direction of reading; remove them",
    "full_width": "letters or digits in full width, which a tokenizer takes for others; make them half-width",
    "broken_characters": "radicals or ligatures stand for characters, as copied from a PDF; make them whole",
    "unknown_standard": "the number of a standard that Danlu does not know and doubts; check it",
    "odd_tag": "a thinking tag is written so that it is read as plain text; write <think> and </think>",
    "tag_in_question": "a thinking tag stands in a turn that is not the assistant's; remove it",
}
"""What each code of this module means and its cure; those of `quality.CHECKS` come beside them."""


class Texts(Struct):
    """What the texts of a file show. remarks: by record.  languages: records by main language.  scripts: Chinese records by script.
    terms: records by (name, category)."""

    remarks: dict[int, list[Fault]]
    languages: dict[str, int]
    terms: dict[tuple[str, str], int]
    scripts: dict[str, int]

    def add(self, other: "Texts") -> None:
        """Count what was found in other records in."""
        self.remarks |= other.remarks
        for mine, theirs in ((self.languages, other.languages), (self.terms, other.terms), (self.scripts, other.scripts)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count


def look_at_texts(records: Sequence[Record], progress: Callable[[int, int], None] | None = None) -> Texts:
    """Everything that can be said of each record by itself. progress: records done and in all; it may raise to stop."""
    remarks_of: dict[int, list[Fault]] = {}
    languages: Counter[str] = Counter()
    scripts: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for done, record in enumerate(records):
        if progress and done % 64 == 0:
            progress(done, len(records))
        text = _all_text(record.conversation)
        terms = find_terms(text)
        if remarks := list(_remarks(text, record.conversation, terms)):
            remarks_of[record.index] = [Fault(record.line, *remark, record=record.index) for remark in remarks]
        language = main_language(text[:ENOUGH]) or NO_LETTERS
        languages[language] += 1
        if language == "zh" and (script := script_of(text[:ENOUGH])):
            scripts[script] += 1
        counts.update(dict.fromkeys((term.name, term.category) for term in terms if term.category not in VALUES).keys())
    return Texts(remarks_of, languages, counts, scripts)


def _all_text(conversation: Conversation) -> str:
    return "\n".join(text for turn in conversation.turns for text in (turn.reasoning, turn.content) if text)


def _remarks(text: str, conversation: Conversation, terms: Sequence[Term]) -> Iterator[tuple[str, str, str]]:
    """Field, code and sentence of each thing that is odd about a record."""
    for code, seen in _system_damage(conversation.system):
        yield "system", code, f"{DAMAGE[code]}: {seen}"
    if next(_damage(text), None):
        yield from _damage_by_turn(conversation)
    for one in quality.findings(conversation):
        yield f"turn {one.turn + 1}", one.code, f"{quality.CHECKS[one.code]}: {one.text}"
    standards: dict[str, int] = {}
    for term in terms:
        if term.category == "standard":
            standards.setdefault(term.name, term.start)
    for name, start in standards.items():
        if reason := doubt(name):
            yield _turn_at(conversation, start), "unknown_standard", f"{DAMAGE['unknown_standard']}: {name}, {reason}"
    for number, turn in enumerate(conversation.turns):
        if turn.role != "assistant" and "<" in turn.content and has_tag(turn.content):
            yield f"turn {number + 1}", "tag_in_question", DAMAGE["tag_in_question"]
        if turn.role == "assistant" and (odd := odd_tags(turn.content)):
            yield f"turn {number + 1}", "odd_tag", f"{DAMAGE['odd_tag']}: {' '.join(odd[:3])}"


@functools.lru_cache(maxsize=64)
def _system_damage(system: str) -> tuple[tuple[str, str], ...]:
    """As `_damage`; most records of a file have the same system prompt."""
    return tuple(_damage(system))


def _damage_by_turn(conversation: Conversation) -> Iterator[tuple[str, str, str]]:
    for number, turn in enumerate(conversation.turns):
        for code, seen in _damage("\n".join(filter(None, (turn.reasoning, turn.content)))):
            yield f"turn {number + 1}", code, f"{DAMAGE[code]}: {seen}"


def _turn_at(conversation: Conversation, place: int) -> str:
    """The turn that holds the character at `place` of `_all_text`."""
    for number, turn in enumerate(conversation.turns):
        place -= sum(len(text) + 1 for text in (turn.reasoning, turn.content) if text)
        if place < 0:
            return f"turn {number + 1}"
    raise AssertionError(place)


def _damage(text: str) -> Iterator[tuple[str, str]]:
    """Codes of damaged characters, each with what is there and what it would become."""
    if text.isascii() and not invisible_characters(text):
        return
    if looks_garbled(text):
        after = fixed(text, "garbled")
        yield "garbled", difference(text, after) if after != text else "what was lost cannot be brought back"
    if hidden := invisible_characters(text):
        yield "invisible_characters", f"{len(hidden)} ({', '.join(dict.fromkeys(one.name for one in hidden))[:80]})"
    for code in ("full_width", "broken_characters"):
        if (after := fixed(text, code)) != text:
            yield code, difference(text, after)

"""The JSON values of a text one after another, each with its line: an array's elements, lines, or objects in a row.

Strict where Python's json is lenient: NaN, Infinity, doubled keys, lone surrogates and bottomless nesting are refused.
Knows nothing of records or layouts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from data.encoding import is_damaged

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LIST_FIELDS = ("data", "records", "train", "examples", "rows")


class Value(NamedTuple):
    """line: 1-based, where the value starts.  fault: (code, sentence) instead of a value."""

    line: int
    value: Any = None
    fault: tuple[str, str] | None = None


class _Refused(ValueError):
    def __init__(self, code: str, text: str):
        super().__init__(text)
        self.fault = (code, text)


def values(text: str) -> Iterator[Value]:
    """Every record of the text, whatever its ending promises: JSON lines, an array, objects in a row, an object around a list.

    A broken line loses only itself; a broken array or row of objects ends there, and its fault says so.
    """
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        yield from _array(text, start)
    elif text[start : start + 1] == "{" and _spans_lines(text, start):
        yield from _in_a_row(text, start)
    else:
        yield from _lines(text)


def _spans_lines(text: str, start: int) -> bool:
    """Whether the first object goes on over the end of its line; a broken first line of JSON lines does not."""
    end = text.find("\n", start)
    if end < 0 or text[_skip(text, end) : _skip(text, end) + 1] in ("{", ""):
        return False
    fault = _parse_line(text[start:end].strip()).fault
    return fault is not None and fault[0] == "broken_json"


def _lines(text: str) -> Iterator[Value]:
    start, number = 0, 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        if line := text[start:end].strip(" \t\r\n"):
            yield from _unwrapped(_parse_line(line)._replace(line=number))
        start = end + 1


def _unwrapped(value: Value) -> Iterator[Value]:
    """An object around a list of records gives the records."""
    if isinstance(value.value, dict) and len(value.value) <= 2:
        for field in _LIST_FIELDS:
            inner = value.value.get(field)
            if isinstance(inner, list) and inner and all(isinstance(one, dict) for one in inner):
                yield from (Value(value.line, one) for one in inner)
                return
    yield value


def _array(text: str, start: int) -> Iterator[Value]:
    lines = _LineCounter(text)
    at = _skip(text, start + 1)
    if at < len(text) and text[at] == "]":
        yield from _nothing_after(text, at + 1, lines)
        return
    while True:
        value, end = _parse_at(text, at, lines)
        yield value
        if end is None:
            return
        at = _skip(text, end)
        separator = text[at : at + 1]
        if separator == "]":
            yield from _nothing_after(text, at + 1, lines)
            return
        if separator != ",":
            seen = repr(separator) if separator else "the end of the file"
            text_of_fault = f"expected ',' or ']' but found {seen}; nothing after this was read"
            yield Value(lines.at(min(at, len(text) - 1)), None, ("broken_json", text_of_fault))
            return
        at = _skip(text, at + 1)


def _in_a_row(text: str, start: int) -> Iterator[Value]:
    lines = _LineCounter(text)
    at = start
    while at < len(text):
        value, end = _parse_at(text, at, lines)
        yield from _unwrapped(value)
        if end is None:
            return
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)


def _nothing_after(text: str, at: int, lines: "_LineCounter") -> Iterator[Value]:
    at = _skip(text, at)
    if at < len(text):
        yield Value(lines.at(at), None, ("broken_json", f"the array has ended, but {text[at : at + 20]!r} follows; it was not read"))


def _parse_line(line: str) -> Value:
    try:
        return Value(0, _checked(_DECODER.decode(line), line))
    except ValueError as error:
        return Value(0, None, _fault_of(error))
    except RecursionError:
        return Value(0, None, _TOO_DEEP)


def _parse_at(text: str, at: int, lines: "_LineCounter") -> tuple[Value, int | None]:
    """The value at `at` and where it ends; None for its end when reading cannot go on."""
    line = lines.at(min(at, len(text) - 1))
    try:
        value, end = _DECODER.raw_decode(text, at)
    except _Refused as error:
        return Value(line, None, error.fault), _LENIENT.raw_decode(text, at)[1]
    except json.JSONDecodeError as error:
        where = lines.at(min(error.pos, len(text) - 1)) if error.pos >= at else line
        return Value(where, None, ("broken_json", f"not valid JSON ({error.msg}); nothing after this was read")), None
    except RecursionError:
        return Value(line, None, (_TOO_DEEP[0], f"{_TOO_DEEP[1]}; nothing after this was read")), None
    try:
        return Value(line, _checked(value, text[at:end])), end
    except _Refused as error:
        return Value(line, None, error.fault), end


def _checked(value: Any, source: str) -> Any:
    """Refuse characters that no encoding can write: lone surrogates, and bytes that were no UTF-8."""
    if is_damaged(source):
        raise _Refused("bad_encoding", "the record holds bytes that are no UTF-8; save the file as UTF-8 again or repair the record")
    if "\\ud" in source.lower() and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise _Refused("lone_surrogate", "the record holds half of a surrogate pair (\\ud800 to \\udfff); repair the character")
    return value


def _fault_of(error: ValueError) -> tuple[str, str]:
    if isinstance(error, _Refused):
        return error.fault
    reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
    return "broken_json", f"not valid JSON ({reason}); repair the line or delete it"


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _no_constant(name: str) -> Any:
    raise _Refused("not_a_number", f"{name} is not JSON; write a number or null")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused("doubled_key", f"the key {double!r} stands more than once in one object; keep one")
    return result


class _LineCounter:
    """1-based line of a position; positions must not go back far, so that a whole file is counted once."""

    def __init__(self, text: str):
        self._text, self._at, self._line = text, 0, 1

    def at(self, position: int) -> int:
        if position < self._at:
            return self._line - self._text.count("\n", position, self._at)
        self._line += self._text.count("\n", self._at, position)
        self._at = position
        return self._line


_TOO_DEEP = ("too_deep", "nested too deeply to be a record; flatten it")
_LENIENT = json.JSONDecoder()
"""Finds the end of a value that was refused for what it holds."""
_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_without_doubles)

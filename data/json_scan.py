"""Where the values of a JSON file start and end, in a stream: an array's elements, lines, objects in a row, an object around them.

Works on UTF-8 bytes as they come, one value in memory at a time, and on what the content is, whatever the file's ending promises.
Whether a value is valid is `data.json_values`; what it means is not known here.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from data.json_values import Refusal, Value, decode
from data.json_window import LONGEST, Window
from data.source import Source

LIST_FIELDS = ("data", "records", "train", "examples", "rows", "items", "samples", "dataset")
"""Keys under which an object holds the file's records."""

_KEY = re.compile(rb'\s*"((?:[^"\\]|\\.)*)"\s*:\s*')
_MEMBER = re.compile(rb"[{,]" + _KEY.pattern + rb"(?=\{)")
_SEPARATOR = re.compile(rb"\s*,")
_BROKEN_OFF = "not valid JSON ({reason}); {rest}"
_NOT_READ = "nothing after this was read"
_GOES_ON = "reading goes on at line {line}"


class Span(NamedTuple):
    """data: the value's bytes.  offset: where they start in the source.  line: 1-based.  fault: instead, why there are none."""

    offset: int
    line: int
    data: bytes = b""
    fault: Refusal | None = None


def spans(source: Source, is_record: Callable[[object], bool]) -> Iterator[Span]:
    """Every value that may be a record. is_record: tells an object that is one from an object of records by name.

    A broken line loses only itself. A broken element of an array loses what follows it up to the next line that starts with an
    element at the same indentation; where there is none, reading ends there, and the fault says so.
    """
    window = Window(source)
    window.skip_space()
    if window.starts_with(b"["):
        yield from _array(window)
        yield from _nothing_after(window)
    elif not window.starts_with(b"{"):
        yield from _lines(window)
    elif _list_in_object(window, is_record):
        yield from _around_lists(window, is_record)
    elif _is_object_of_records(window, is_record):
        yield from _members(window)
    elif _spans_lines(window):
        yield from _in_a_row(window)
    else:
        yield from _lines(window)


def _list_in_object(window: Window, is_record: Callable[[object], bool]) -> int | None:
    """Bytes to the list of records in the object that starts here, whatever stands before it; None when it holds none."""
    head, at = window.head(), 1
    while found := _KEY.match(head, at):
        at = found.end()
        if found[1].decode("utf-8", "replace") in LIST_FIELDS and head[at : at + 1] == b"[":
            inner = head[at + 1 :]
            element = window.value_at(at + 1 + len(inner) - len(inner.lstrip()))
            is_list = element is not None and (element.startswith(b"]") or is_record(decode(element).value))
            return at if is_list else None
        value = window.value_at(at)
        separator = _SEPARATOR.match(head, at + len(value)) if value else None
        if separator is None:
            return None
        at = separator.end()
    return None


def _is_object_of_records(window: Window, is_record: Callable[[object], bool]) -> bool:
    """Whether the first object's first member is a record."""
    found = _MEMBER.match(window.head())
    value = window.value_at(found.end()) if found else None
    return value is not None and is_record(decode(value).value)


def _spans_lines(window: Window) -> bool:
    """Whether the first object goes on over the end of its line; a broken first line of JSON lines does not."""
    first = window.line()
    if window.after_line() in (b"{", b""):
        return False
    fault = decode(first.strip()).fault
    return fault is not None and fault.code == "broken_json"


def _lines(window: Window) -> Iterator[Span]:
    while not window.at_end():
        offset, line = window.offset, window.line_number
        data = window.take_line()
        if data is None:
            yield Span(offset, line, fault=_too_long())
            continue
        stripped = data.strip(b" \t\r\n")
        if stripped:
            yield Span(offset + len(data) - len(data.lstrip(b" \t\r\n")), line, stripped)


def _array(window: Window) -> Iterator[Span]:
    """The elements of the array that starts here; moves past its end."""
    window.advance(1)
    window.skip_space()
    while not window.starts_with(b"]"):
        window.mark_line()
        offset, line = window.offset, window.line_number
        data = window.take_value()
        value = decode(data) if data is not None else None
        if data is None or value is None or value.at is not None:
            yield _broken(window, offset, line, data, value)
            if not window.go_to_marked_indentation():
                return
            continue
        yield Span(offset, line, data)
        window.skip_space()
        if window.starts_with(b","):
            window.advance(1)
            window.skip_space()
            continue
        if not window.starts_with(b"]"):
            yield _no_separator(window)
            if not window.go_to_marked_indentation():
                return
    window.advance(1)
    window.skip_space()


def _around_lists(window: Window, is_record: Callable[[object], bool]) -> Iterator[Span]:
    """The lists of objects in a row that hold one each; their other members are no records."""
    while not window.at_end() and (distance := _list_in_object(window, is_record)) is not None:
        window.advance(distance)
        yield from _array(window)
        while window.starts_with(b","):
            _take_key(window)
            window.take_value()
            window.skip_space()
        if window.starts_with(b"}"):
            window.advance(1)
            window.skip_space()
    yield from _nothing_after(window)


def _members(window: Window) -> Iterator[Span]:
    """Values of objects in a row whose members are records."""
    while not window.at_end():
        if window.starts_with(b"}"):
            window.advance(1)
            window.skip_space()
            continue
        if not (window.starts_with(b"{") or window.starts_with(b",")):
            yield _no_separator(window)
            return
        _take_key(window)
        offset, line = window.offset, window.line_number
        data = window.take_value()
        if data is None:
            yield _broken(window, offset, line, None, None)
            return
        yield Span(offset, line, data)
        window.skip_space()


def _take_key(window: Window) -> None:
    """Move over a bracket or comma, a key and its colon; where they are broken, the value is too."""
    window.advance(1)
    window.skip_space()
    window.take_value()
    window.skip_space()
    window.advance(1)
    window.skip_space()


def _in_a_row(window: Window) -> Iterator[Span]:
    while not window.at_end():
        offset, line = window.offset, window.line_number
        data = window.take_value()
        if data is None:
            yield _broken(window, offset, line, None, None)
            return
        yield Span(offset, line, data)
        window.skip_space()
        if window.starts_with(b","):
            window.advance(1)
            window.skip_space()


def _nothing_after(window: Window) -> Iterator[Span]:
    """The records have ended where they should; what follows them was not read, which is told, unless it was told before."""
    if not window.at_end() and not window.is_given_up:
        seen = window.head()[:20].decode("utf-8", "replace")
        fault = Refusal("broken_json", f"the array has ended, but {seen!r} follows; it was not read")
        yield Span(window.offset, window.line_number, fault=fault)


def _broken(window: Window, offset: int, line: int, data: bytes | None, value: Value | None) -> Span:
    """The fault of a value that is no JSON, at the line where it breaks off."""
    if data is None:
        data = window.rest_of_value()
        if len(data) >= LONGEST:
            return Span(offset, line, fault=_too_long())
        value = decode(data)
    assert value is not None
    reason = value.fault.text if value.fault else "it does not end"
    inner = re.match(r"not valid JSON \((.*) at column \d+\);", reason)
    at = value.at if value.at is not None else len(data)
    where = line + data[: max(min(at, len(data) - 1), 0)].count(b"\n")
    next_line = window.line_of_marked_indentation()
    rest = _GOES_ON.format(line=next_line) if next_line else _NOT_READ
    return Span(offset, where, fault=Refusal("broken_json", _BROKEN_OFF.format(reason=inner[1] if inner else reason, rest=rest)))


def _no_separator(window: Window) -> Span:
    seen = "the end of the file" if window.at_end() else repr(window.head()[:1].decode("utf-8", "replace"))
    next_line = window.line_of_marked_indentation()
    rest = _GOES_ON.format(line=next_line) if next_line else _NOT_READ
    return Span(window.offset, window.line_number, fault=Refusal("broken_json", f"expected ',' or ']' but found {seen}; {rest}"))


def _too_long() -> Refusal:
    return Refusal("too_long", f"the record is longer than {LONGEST >> 20} MiB; split it")

"""Fixes that a person may take for a record: each with what stands there and what would, none made unless asked for.

They repair characters, never words: the wrong encoding, the invisible, widths, radicals, line ends, and, on request, Traditional into
Simplified or back. Cleaning of meaning (refusals, repetition) is nobody's but the person's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from data import chinese, mojibake

_FIXES: dict[str, Callable[[str], str]] = {
    "garbled": mojibake.repaired,
    "invisible_characters": chinese.without_invisible,
    "line_ends": chinese.plain_line_ends,
    "full_width": chinese.half_width,
    "broken_characters": chinese.whole_characters,
    "uncomposed": chinese.composed,
    "to_simplified": chinese.simplified,
    "to_traditional": chinese.traditional,
}
FIXES = tuple(_FIXES)
"""Codes, in the order in which several are made on one text: one of the invisible between a letter and its accent would keep them apart."""
ON_REQUEST = ("to_simplified", "to_traditional")
"""Offered only where they are asked for by name."""

Path = tuple[str | int, ...]
"""Keys and places from the record to a text: ("conversations", 0, "value")."""


class Offer(NamedTuple):
    """path: where the text is in the record.  code: of `FIXES`.  before, after: the whole text; `difference` shows the first change."""

    path: Path
    code: str
    before: str
    after: str


def fixed(text: str, code: str) -> str:
    """The text with one kind of fix made, the same text where there is nothing to fix. Raises DataError where OpenCC is missing."""
    return _FIXES[code](text)


def offers(raw: dict[str, Any], codes: Sequence[str] = ()) -> list[Offer]:
    """What could be fixed in the texts of a raw record. codes: these kinds only (all but those on request without)."""
    wanted = codes or [code for code in FIXES if code not in ON_REQUEST]
    return [
        Offer(path, code, text, after)
        for path, text in _texts(raw, ())
        for code in wanted
        if (after := fixed(text, code)) != text
    ]


def scripts(raw: dict[str, Any]) -> list[str]:
    """The codes of `ON_REQUEST` that would change the record: whatever script it is not in already."""
    script = chinese.script_of("\n".join(text for _, text in _texts(raw, ())))
    return [code for code in ON_REQUEST if script and code != f"to_{script}"]


def applied(raw: dict[str, Any], taken: Sequence[Offer]) -> dict[str, Any]:
    """A copy of the record with the taken offers made; several on one text one after another. The record itself stays."""
    codes: dict[Path, set[str]] = {}
    for offer in taken:
        codes.setdefault(offer.path, set()).add(offer.code)
    return _with_fixes(raw, (), codes)


def difference(before: str, after: str, around: int = 12) -> str:
    """The first change as `…before… → …after…`, with some characters around it."""
    start = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    stretches = (text[max(start - around // 2, 0) : min(len(text) - end + around // 2, start + around)] for text in (before, after))
    return " → ".join(repr(stretch) for stretch in stretches)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, (*path, place))


def _with_fixes(value: Any, path: Path, codes: dict[Path, set[str]]) -> Any:
    if isinstance(value, dict):
        return {key: _with_fixes(inner, (*path, key), codes) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_fixes(inner, (*path, place), codes) for place, inner in enumerate(value)]
    for code in FIXES:
        if code in codes.get(path, ()):
            value = fixed(value, code)
    return value

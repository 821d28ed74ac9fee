"""Styled lines and their wrapping by terminal cells, Chinese by its own rules. No Textual, no colours: styles are names.

Text handed in must have passed the gate: one logical line, no control characters.
"""

import re
from functools import lru_cache
from itertools import pairwise

from tui.gate import cells

Span = tuple[str, str]
"""Text and the name of its style; several names joined by spaces add up."""
Line = list[Span]

_OPENING = "（《〈“‘「『【〔［｛"
_CLOSING = "，。、；：？！）》〉”’」』】〕］｝…—～·％"
_JOINED = "\u0300-\u036f\u200d\ufe00-\ufe0f\u20d0-\u20ff"
_ATOM = re.compile(rf"\s+|[^\s\u1100-\U0010ffff]+(?: %)?[{_CLOSING}{_JOINED}]*|[{_OPENING}]*[\u1100-\U0010ffff][{_CLOSING}{_JOINED}]*|.")
"""What is never broken inside: a run of blanks, a word of narrow letters or one wide character, each with the punctuation behind it."""


def wrap(spans: Line, width: int, indent: str = "") -> list[Line]:
    """`spans` as lines of at most `width` cells, later ones behind `indent`; no closing punctuation begins a line."""
    text = "".join(part for part, _ in spans)
    if cells(text) <= width:
        return [spans]
    offsets = [0, *_breaks(text, max(width, 2), cells(indent)), len(text)]
    lines = [_cut(spans, start, end) for start, end in pairwise(offsets)]
    return lines[:1] + [[(indent, ""), *line] if indent else line for line in lines[1:]]


def marked(text: str, style: str, marks: list[tuple[int, int, str]]) -> Line:
    """`text` in `style`, with further style names added on the given ranges (start, end, name), which may overlap."""
    if not marks:
        return [(text, style)]
    edges = sorted({0, len(text), *(edge for start, end, _ in marks for edge in (start, end) if 0 <= edge <= len(text))})
    return [
        (text[start:end], " ".join([style, *(name for first, last, name in marks if first <= start and end <= last)]).strip())
        for start, end in pairwise(edges)
    ]


def line_cells(line: Line) -> int:
    """Width of a line in cells."""
    return sum(cells(text) for text, _ in line)


def _breaks(text: str, width: int, indent: int) -> list[int]:
    """Offsets at which lines after the first begin."""
    found: list[int] = []
    used, room = 0, width
    for match in _ATOM.finditer(text):
        size = _atom_cells(match.group())
        if used + size <= room:
            used += size
            continue
        if match.group().isspace():
            used = room
            continue
        if used:
            found.append(match.start())
            room, used = max(width - indent, 2), 0
        for offset, character in enumerate(match.group()):
            wide = cells(character)
            if used + wide > room and used:
                found.append(match.start() + offset)
                room, used = max(width - indent, 2), 0
            used += wide
    return found


def _cut(spans: Line, start: int, end: int) -> Line:
    """The characters [start, end) of `spans`, blanks at the end of the line removed."""
    line: Line = []
    offset = 0
    for text, style in spans:
        piece = text[max(start - offset, 0) : max(end - offset, 0)]
        if piece:
            line.append((piece, style))
        offset += len(text)
        if offset >= end:
            break
    if line:
        line[-1] = (line[-1][0].rstrip(" "), line[-1][1])
    return line


@lru_cache(maxsize=16384)
def _atom_cells(atom: str) -> int:
    return cells(atom)

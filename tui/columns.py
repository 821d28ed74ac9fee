"""Text in aligned columns and wrapped lines, measured in terminal cells, for output that no screen draws."""

import re
import shutil
from collections.abc import Collection, Iterator, Sequence

from tui import gate

GAP = "  "
WIDTH_WITHOUT_TERMINAL = 100

_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[（《「『(\[]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[，。；：、！？）》」』%…]*\s*|\s+")
"""What stays together: a word or one wide character, with the brackets before it and the punctuation and space behind it."""


def terminal_width() -> int:
    """Cells of a line on the terminal of stdout; a readable width where there is none."""
    return max(40, shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns)


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """One line a row, each column as wide as its widest cell. right: numbers of the columns set against their right edge.

    Rows may be shorter than the first; nothing is clipped, and no line ends in spaces.
    """
    widths = [max(gate.cells(cell) for cell in column) for column in _transposed(rows)]
    return [
        GAP.join(gate.pad(cell, widths[number], right=number in right) for number, cell in enumerate(row)).rstrip() for row in rows
    ]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces and between Chinese characters; later lines begin with `indent`."""
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        if line.strip() and gate.cells(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = indent + piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]


def _transposed(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    for number in range(max(map(len, rows), default=0)):
        yield [row[number] for row in rows if number < len(row)]

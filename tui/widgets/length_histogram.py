"""A histogram of token lengths in text cells, with the cut-off on it. It draws; counting tokens is `data.inspection`'s."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from tui.gate import cells
from tui.widgets.lines import Line, Span

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"
TAIL_QUANTILE = 0.995
"""The axis ends here (or a little past the cut-off): one record of 300,000 tokens must not flatten all others."""


def draw_histogram(ordered: Sequence[int], cutoff: int, width: int, height: int, ascii_only: bool = False) -> list[Line]:
    """`height` rows of columns, an axis with the cut-off's mark, and its labels; `ordered` is sorted upwards, not empty.

    Columns past the cut-off have the style "bad"; the mark under the axis says the same without colour.
    """
    step = _column_tokens(ordered, cutoff, width)
    counts = _counts(ordered, step, width)
    tallest = max(counts)
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    border = min(-(-cutoff // step), width)
    rows = []
    for level in range(height - 1, -1, -1):
        row = "".join(_block(count, tallest, level, height, blocks) for count in counts)
        rows.append(_styled_row(row, border))
    return [*rows, _axis(width, border, ascii_only), _labels(width, step, border, cutoff, ascii_only)]


def _column_tokens(ordered: Sequence[int], cutoff: int, width: int) -> int:
    tail = ordered[min(int(len(ordered) * TAIL_QUANTILE), len(ordered) - 1)]
    return max(-(-max(tail, int(cutoff * 1.1)) // width), 1)


def _counts(ordered: Sequence[int], step: int, width: int) -> list[int]:
    """Lengths a column; the last one holds all that is longer still."""
    edges = [bisect_left(ordered, column * step) for column in range(width)] + [len(ordered)]
    return [end - start for start, end in pairwise(edges)]


def _block(count: int, tallest: int, level: int, height: int, blocks: str) -> str:
    """The character of one column at one row; a column that holds anything shows at least a trace."""
    eighths = max(round(count / tallest * height * 8), 1) if count else 0
    return blocks[min(max(eighths - level * 8, 0), 8)]


def _styled_row(row: str, border: int) -> Line:
    spans: list[Span] = [(row[:border], "bar"), (row[border:], "bad")]
    return [span for span in spans if span[0]]


def _axis(width: int, border: int, ascii_only: bool) -> Line:
    rule, mark = ("-", "^") if ascii_only else ("─", "┴")
    if border >= width:
        return [(rule * width, "rest")]
    return [(rule * border, "rest"), (mark, "bad"), (rule * (width - border - 1), "rest")]


def _labels(width: int, step: int, border: int, cutoff: int, ascii_only: bool) -> Line:
    """0 at the left, the end of the axis at the right, the cut-off under its mark where there is room."""
    end = ("" if ascii_only else "≥ ") + f"{step * (width - 1):,}"
    mark = f"{cutoff:,}"
    start = min(max(border - len(mark) // 2, 2), width - cells(end) - len(mark) - 1)
    if start < 2:
        return [("0" + end.rjust(width - 1), "dim")]
    rest = width - start - len(mark)
    return [("0".ljust(start), "dim"), (mark, "bad"), (end.rjust(rest), "dim")]

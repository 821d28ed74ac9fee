"""Curves as rows of braille or ASCII cells, drawn with numpy. Knows no widget, no run and no language.

Points are reduced to the lowest and highest of each dot column before anything is drawn, so 100,000 points cost what the
plot's width costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import ceil, floor, log10

import numpy as np

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bits of a braille cell's 4 × 2 dots (Unicode 15, section 21.1)."""
LABEL_CELLS = 8
"""Room for a tick's number and the axis at the left."""
MARKS_PER_LINE = 5


@dataclass(frozen=True)
class Line:
    """x: rising.  y: NaN where there is nothing.  style: a name the widget knows.

    mark: drawn along the line, so that lines differ without colour.  as_points: only the marks, one at each point.
    """

    x: np.ndarray
    y: np.ndarray
    style: str
    mark: str = ""
    as_points: bool = False


@dataclass(frozen=True)
class Frame:
    """What is seen: first and last x, lowest and highest value, and how values go upwards."""

    x_range: tuple[float, float]
    limits: tuple[float, float]
    log: bool
    ascii: bool

    def column(self, x: np.ndarray, columns: int) -> np.ndarray:
        """Column of each x."""
        width = max(1e-9, self.x_range[1] - self.x_range[0])
        return np.clip(((x - self.x_range[0]) * ((columns - 1) / width)).round().astype(int), 0, columns - 1)

    def row(self, y: np.ndarray, rows: int) -> np.ndarray:
        """Row of each value, counted from the top."""
        low, high = self.limits
        if self.log:
            y, low, high = np.log10(y), log10(low), log10(high)
        return np.clip(((high - y) * ((rows - 1) / (high - low))).round().astype(int), 0, rows - 1)


def smooth(y: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over `window` points, fewer at the ends; NaN counts as absent."""
    if window < 2 or len(y) < 2:
        return y
    present = np.isfinite(y)
    sums = np.concatenate(([0.0], np.cumsum(np.where(present, y, 0.0))))
    counts = np.concatenate(([0], np.cumsum(present)))
    low = np.maximum(np.arange(len(y)) - window // 2, 0)
    high = np.minimum(low + window, len(y))
    number = counts[high] - counts[low]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, (sums[high] - sums[low]) / number, np.nan)


def draw(
    lines: Sequence[Line], x_range: tuple[float, float], width: int, height: int, *, log: bool = False, ascii: bool = False
) -> list[list[tuple[str, str]]]:
    """`lines` and their axes as `height` rows of (text, style) runs, `width` cells wide; later lines cover earlier ones."""
    columns, rows = max(2, width - LABEL_CELLS), max(1, height - 2)
    seen = [part for part in (_seen(line, x_range, log) for line in lines) if len(part.x)]
    frame = Frame(x_range, _limits(seen, log), log, ascii)
    cells = np.full((rows, columns), " ", dtype="<U1")
    styles = np.full((rows, columns), "", dtype="<U12")
    for line in seen:
        if not line.as_points:
            _draw_line(cells, styles, line, frame)
    for order, line in enumerate(seen):
        if line.mark:
            _draw_marks(cells, styles, line, frame, order)
    ticks = _ticks(frame, rows)
    body = [_row(cells[row], styles[row], ticks.get(row, ""), ascii) for row in range(rows)]
    return [*body, *_x_axis(frame, columns)]


def _seen(line: Line, x_range: tuple[float, float], log: bool) -> Line:
    """The part of a line in sight; under a log scale only what is positive."""
    first, last = np.searchsorted(line.x, x_range[0], side="left"), np.searchsorted(line.x, x_range[1], side="right")
    x, y = line.x[first:last], line.y[first:last]
    keep = np.isfinite(y)
    if log:
        keep &= y > 0
    return line if keep.all() and len(keep) == len(line.x) else Line(x[keep], y[keep], line.style, line.mark, line.as_points)


def _limits(lines: Sequence[Line], log: bool) -> tuple[float, float]:
    """Lowest and highest value; on a linear scale rounded outwards to a quarter of a tick, so that the axis seldom moves."""
    if not lines:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(float(line.y.min()) for line in lines), max(float(line.y.max()) for line in lines)
    if high - low < 1e-9 * max(1e-9, abs(high)):
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    if log:
        return (low, high)
    step = _nice((high - low) / 4) / 4
    return (floor(low / step) * step, -floor(-high / step) * step)


def _draw_line(cells: np.ndarray, styles: np.ndarray, line: Line, frame: Frame) -> None:
    rows, columns = cells.shape
    first, low, high = _spans(line, frame, columns * 2, rows * 4)
    heights = np.arange(rows * 4)[:, None]
    dots = np.zeros((rows * 4, columns * 2), dtype=bool)
    dots[:, first : first + len(low)] = (heights >= low) & (heights <= high)
    codes = (dots.reshape(rows, 4, columns, 2) * DOTS[None, :, None, :]).sum(axis=(1, 3))
    drawn = codes > 0
    if frame.ascii:
        cells[drawn] = "." if line.style == "raw" else line.mark or "*"
    else:
        cells[drawn] = (codes[drawn] + 0x2800).astype("<u4").view("<U1")
    styles[drawn] = line.style


def _spans(line: Line, frame: Frame, columns: int, rows: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The first dot column with a point, and for each from there to the last: the top and bottom dot the line covers."""
    place = frame.column(line.x, columns)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    used = place[starts]
    # The highest value has the smallest row; reducing before scaling keeps the logarithm to one a column.
    top = frame.row(np.maximum.reduceat(line.y, starts), rows)
    bottom = frame.row(np.minimum.reduceat(line.y, starts), rows)
    # Columns without a point lie on the straight line between their neighbours.
    every = np.arange(used[0], used[-1] + 1)
    low = np.rint(np.interp(every, used, frame.row(line.y[starts], rows))).astype(int)
    high = low.copy()
    low[used - used[0]], high[used - used[0]] = top, bottom
    return int(used[0]), *_joined(low, high)


def _joined(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Close the gap between neighbouring columns, half from each side, so that a steep line has no holes."""
    falls, rises = low[1:] > high[:-1] + 1, high[1:] < low[:-1] - 1
    joined_low, joined_high = low.copy(), high.copy()
    middle = (high[:-1] + low[1:]) // 2
    joined_high[:-1][falls], joined_low[1:][falls] = middle[falls], middle[falls] + 1
    middle = (low[:-1] + high[1:]) // 2
    joined_low[:-1][rises] = middle[rises] + 1
    joined_high[1:][rises] = middle[rises]
    return np.minimum(low, joined_low), np.maximum(high, joined_high)


def _draw_marks(cells: np.ndarray, styles: np.ndarray, line: Line, frame: Frame, order: int) -> None:
    """A mark at each point, or a few along the line, set off so that the marks of several lines don't meet."""
    rows, columns = cells.shape
    column, row = frame.column(line.x, columns), frame.row(line.y, rows)
    if line.as_points:
        chosen = np.arange(len(column))
    else:
        wanted = (np.arange(MARKS_PER_LINE) + 0.25 + 0.5 * (order % 2)) * columns / MARKS_PER_LINE
        chosen = np.unique(np.clip(np.searchsorted(column, wanted), 0, len(column) - 1))
    cells[row[chosen], column[chosen]] = line.mark
    styles[row[chosen], column[chosen]] = line.style


def _ticks(frame: Frame, rows: int) -> dict[int, str]:
    """Row → label, about one in four rows; two at least, because one value says nothing of the scale."""
    low, high = frame.limits
    slack = 1e-9 * (high - low)
    if frame.log and high / low > 10:
        values = [factor * 10.0**power for power in range(floor(log10(low)), floor(log10(high)) + 1) for factor in (1, 2, 5)]
    else:
        steps = (_nice((high - low) / parts) for parts in count(max(2, rows // 4)))
        step = next(step for step in steps if floor((high + slack) / step) > ceil((low - slack) / step))
        values = [n * step for n in range(floor(low / step), floor(high / step) + 2)]
    inside = [value for value in values if low - slack <= value <= high + slack and (value > 0 or not frame.log)]
    return {int(frame.row(np.array([value]), rows)[0]): number(value) for value in inside}


def _nice(step: float) -> float:
    """The smallest of 1, 2, 5 × 10^k that is at least `step`."""
    if not step > 0:
        return 1.0
    power = 10.0 ** floor(log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def number(value: float) -> str:
    """A tick's number in at most six characters."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    size = abs(value)
    if 0.001 <= size < 10:
        return f"{value:.4f}"[: 6 if value > 0 else 7].rstrip("0").rstrip(".")[:6]
    if 10 <= size < 1000:
        return f"{value:.1f}".removesuffix(".0")
    if 1000 <= size < 1_000_000:
        return f"{value / 1000:.3g}k"
    return _scientific(value, 1) if len(_scientific(value, 1)) <= LABEL_CELLS - 2 else _scientific(value, 0)


def _scientific(value: float, decimals: int) -> str:
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _row(cells: np.ndarray, styles: np.ndarray, tick: str, ascii: bool) -> list[tuple[str, str]]:
    """A row as runs of one style, with its tick at the left."""
    axis = ("+" if tick else "|") if ascii else ("┤" if tick else "│")
    runs = [(f"{tick:>{LABEL_CELLS - 2}} {axis}", "axis")]
    edges = [0, *(np.flatnonzero(styles[1:] != styles[:-1]) + 1).tolist(), len(cells)]
    return runs + [("".join(cells[start:end]), str(styles[start])) for start, end in pairwise(edges)]


def _x_axis(frame: Frame, columns: int) -> list[list[tuple[str, str]]]:
    """The line under the plot and its step numbers."""
    x_range, ascii = frame.x_range, frame.ascii
    line, labels = [("-" if ascii else "─")] * columns, [" "] * (columns + 1)
    step = max(1.0, _nice((x_range[1] - x_range[0]) / max(2, columns // 12)))  # there is nothing between two steps
    for n in range(floor(x_range[0] / step), floor(x_range[1] / step) + 1):
        value = n * step
        if not x_range[0] <= value <= x_range[1]:
            continue
        column = int(frame.column(np.array([value]), columns)[0])
        text = f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
        start = min(max(0, column - len(text) // 2), columns - len(text))
        if all(labels[i] == " " for i in range(max(0, start - 2), min(columns, start + len(text) + 1))):
            labels[start : start + len(text)] = text
            line[column] = "+" if ascii else "┬"
    corner = "+" if ascii else "└"
    return [
        [(" " * (LABEL_CELLS - 1) + corner + "".join(line), "axis")],
        [(" " * LABEL_CELLS + "".join(labels[:columns]), "axis")],
    ]

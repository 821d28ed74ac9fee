"""A list of records that draws only the rows on screen, so 100,000 scroll like ten. It reads no file and judges nothing.

`RecordList` asks its source for a row when it draws it. Positions count the visible (filtered) rows, numbers name them for the source.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from tui.gate import pad
from tui.glyphs import ASCII, UNICODE
from tui.keymap import bind
from tui.texts import tr
from tui.widgets.line_view import LineView
from tui.widgets.lines import Line

SIGNS = {
    "with": "◆", "without": "·", "faulty": "✗", "problem": "▲", "duplicate": "=", "unusable": "✗", "changed": "✎", "left_out": "⊘", "": " ",
}  # fmt: skip
ASCII_SIGNS = SIGNS | {"with": "T", "without": "-", "faulty": "x", "problem": "!", "unusable": "x", "changed": "~", "left_out": "/"}
MARK_STYLES = {"problem": "bad", "unusable": "bad", "changed": "good"}
MIN_WORDS = 18
"""Cells that the first words of a record keep; other columns are left out before these."""


class Row(NamedTuple):
    """One record as the list shows it; texts have passed the gate. mark, thinking: keys of `SIGNS`. tokens: 0 = unknown.
    group: of alike records, shown where the list is in their order."""

    name: str
    mark: str = ""
    thinking: str = ""
    difficulty: str = ""
    category: str = ""
    split: str = ""
    tokens: int = 0
    is_over_length: bool = False
    words: str = ""
    group: str = ""


class RecordList(LineView):
    """Records one a line under a fixed heading, with a cursor."""

    BINDINGS: ClassVar = [
        bind("down,j", "move(1)", "data.keys.down", show=False),
        bind("up,k", "move(-1)", "data.keys.up", show=False),
        bind("pagedown,space", "page(1)", "data.keys.page_down", show=False),
        bind("pageup", "page(-1)", "data.keys.page_up", show=False),
        bind("home,g", "edge(0)", "data.keys.top", show=False),
        bind("end,G", "edge(1)", "data.keys.bottom", show=False),
        bind("enter", "open", "data.keys.open_record"),
        bind("l,right", "open", "data.keys.open_record", show=False),
    ]

    class Moved(Message):
        """The cursor is on another record, or on none (record None)."""

        def __init__(self, record: int | None):
            super().__init__()
            self.record = record

    class Opened(Message):
        """Enter was pressed on a record."""

        def __init__(self, record: int):
            super().__init__()
            self.record = record

    def __init__(self, ascii_only: bool = False, **options):
        super().__init__(**options)
        self.numbers: Sequence[int] = ()
        self.position = 0
        self._row: Callable[[int], Row] = lambda number: Row(str(number))
        self._signs = ASCII_SIGNS if ascii_only else SIGNS
        self._cursor = (ASCII if ascii_only else UNICODE).current
        self._widest: dict[str, int] = {}

    @property
    def record(self) -> int | None:
        """The record under the cursor."""
        return self.numbers[self.position] if self.numbers else None

    def show_rows(self, row: Callable[[int], Row], numbers: Sequence[int], widest: dict[str, int], record: int | None = None) -> None:
        """Show the records `numbers` with the cursor on `record` or the nearest one after it; widest: cells a column needs, 0 hides it."""
        self._row, self.numbers = row, numbers
        self._widest = widest
        self.virtual_size = Size(self.size.width, len(numbers) + 1)
        self.position = 0
        self.move_to(self._position_of(record) if record is not None else 0)
        self.refresh()
        self.post_message(self.Moved(self.record))

    def grow(self, numbers: Sequence[int], widest: dict[str, int]) -> None:
        """Show more rows behind those that are shown."""
        self.numbers = numbers
        self.virtual_size = Size(self.size.width, len(numbers) + 1)
        self.set_columns(widest)

    def set_columns(self, widest: dict[str, int]) -> None:
        """Draw again what is on screen: the source's values, and with them `widest`, may have changed."""
        self._widest = widest
        self.refresh()

    def move_to(self, position: int) -> None:
        """Put the cursor on the row at `position`, or the nearest there is, and bring it on screen."""
        position = max(min(position, len(self.numbers) - 1), 0)
        body = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        before, self.position = self.position, position
        if not top <= position < top + body:
            self.scroll_to(y=position if position < top else position - body + 1, animate=False)
        for changed in (before, position):
            self.refresh(Region(0, changed - self.scroll_offset.y + 1, self.size.width, 1))
        if before != position:
            self.post_message(self.Moved(self.record))

    def action_move(self, rows: int) -> None:
        self.move_to(self.position + rows)

    def action_page(self, pages: int) -> None:
        self.move_to(self.position + pages * max(self.size.height - 2, 1))

    def action_edge(self, end: int) -> None:
        self.move_to(len(self.numbers) * end)

    def action_open(self) -> None:
        if self.record is not None:
            self.post_message(self.Opened(self.record))

    def on_click(self, event: events.Click) -> None:
        if event.y > 0:
            self.move_to(self.scroll_offset.y + event.y - 1)

    def on_resize(self, event: events.Resize) -> None:
        self.move_to(self.position)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        position = self.scroll_offset.y + y - 1
        if y == 0:
            line = self._heading(width)
        elif position < len(self.numbers):
            line = self._line(self._row(self.numbers[position]), width, position == self.position)
        else:
            line = []
        base = self.style_of("cursor") if y and position == self.position and self.numbers else self.rich_style
        segments = [Segment(text, base if base is not self.rich_style and name != "bad" else self.style_of(name)) for text, name in line]
        return Strip(segments).adjust_cell_length(width, base)

    def _position_of(self, record: int) -> int:
        if isinstance(self.numbers, range):
            return record if self.numbers.step > 0 else -record - 1
        return next((position for position, shown in enumerate(self.numbers) if shown == record), bisect_left(self.numbers, record))

    def _columns(self, width: int) -> dict[str, int]:
        """Cells of each column in order; what does not fit beside the first words is left out, least needed first."""
        largest = max(self.numbers[-1] + 1, len(self.numbers)) if self.numbers else 0
        columns = {"name": max(len(f"{largest}"), 5), "mark": 1, "thinking": 1, **self._widest, "tokens": 6}
        for least in ("split", "category", "difficulty", "tokens"):
            if width - sum(size + 1 for size in columns.values() if size) >= MIN_WORDS + 2:
                break
            columns[least] = 0
        return {name: size for name, size in columns.items() if size}

    def _heading(self, width: int) -> Line:
        columns = self._columns(width)
        names = {name: "" if name in ("mark", "thinking") else tr(f"data.column_{name}") for name in columns}
        cells = [pad(names[name], size, right=name in ("name", "tokens", "group")) for name, size in columns.items()]
        return [("  " + " ".join(cells) + " " + tr("data.column_words"), "dim")]

    def _line(self, row: Row, width: int, is_cursor: bool) -> Line:
        line: Line = [(self._cursor + " " if is_cursor else "  ", "key")]
        for name, size in self._columns(width).items():
            text, style = self._cell(row, name)
            line += [(pad(text, size, right=name in ("name", "tokens", "group")), style), (" ", "")]
        return [*line, (row.words, "")]

    def _cell(self, row: Row, name: str) -> tuple[str, str]:
        match name:
            case "mark":
                return self._signs[row.mark], MARK_STYLES.get(row.mark, "warn")
            case "thinking":
                return self._signs[row.thinking], {"with": "good", "faulty": "bad"}.get(row.thinking, "dim")
            case "tokens":
                over = ">" if row.is_over_length else ""
                return (over + str(row.tokens) if row.tokens else ""), "warn" if row.is_over_length else "dim"
        return getattr(row, name), "dim"

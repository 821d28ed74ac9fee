"""The list of runs: a line a run, as many columns as the width has room for, a cursor and marks."""

import time
from collections.abc import Callable

from engine import events
from tui import amounts, gate, states
from tui.glyphs import Glyphs
from tui.run_index import Row
from tui.texts import tr
from tui.widgets.steady import Line, SteadyView

COLUMNS = {"state": 13, "name": 18, "model": 24, "steps": 11, "eval": 13, "accuracy": 17, "when": 10, "size": 9}
"""Column → cells; the name takes what is left."""
OPTIONAL = (("size", 90), ("model", 112), ("accuracy", 133))
"""Columns that need a wider screen."""


class RunTable(SteadyView):
    """Shows the rows it is given; `cursor` is the current one."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self._rows: list[Row] = []
        self._first = 0
        self.cursor = 0
        self.marked: list[str] = []
        """Names of marked runs, in the order they were marked."""

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self._rows else None

    @property
    def marked_rows(self) -> list[Row]:
        """Rows of the marked runs, in the order they were marked."""
        by_name = {row.run.name: row for row in self._rows}
        return [by_name[name] for name in self.marked if name in by_name]

    def draw(self, rows: list[Row]) -> None:
        """Show other rows; the cursor stays on its run."""
        name = self.current.run.name if self.current else ""
        self._rows = rows
        names = [row.run.name for row in rows]
        self.cursor = names.index(name) if name in names else min(self.cursor, max(0, len(rows) - 1))
        self.marked = [name for name in self.marked if name in names]
        self.move(0)

    def move(self, rows: int) -> None:
        """Move the cursor, and the view with it."""
        self.cursor = min(max(0, self.cursor + rows), max(0, len(self._rows) - 1))
        self.show(self._lines)

    def toggle_mark(self) -> None:
        """Mark the current run, or unmark it."""
        if self.current is None:
            return
        name = self.current.run.name
        self.marked = [one for one in self.marked if one != name] if name in self.marked else [*self.marked, name]
        self.show(self._lines)

    def _lines(self, width: int, height: int) -> list[Line]:
        columns = fitted(width)
        now = time.time()
        # The heading stays while the rows scroll, so the rows are cut here and the view has nothing left to scroll.
        room = max(1, height - 1)
        self._first = min(max(self._first, self.cursor - room + 1), self.cursor)
        seen = list(enumerate(self._rows))[self._first :][:room]
        heading = "  ".join(gate.pad(tr(f"runs.column.{name}"), cells) for name, cells in columns.items())
        return [[(f"    {heading}", "dim")], *(self._line(number, row, columns, now) for number, row in seen)]

    def _line(self, number: int, row: Row, columns: dict[str, int], now: float) -> Line:
        is_current = number == self.cursor
        sign, style = states.SIGNS[row.summary.status]
        mark = "*" if row.run.name in self.marked else " "
        cursor = self._glyphs.current if is_current else " "
        line: Line = [(f"{cursor}{mark} ", "accent")]
        for name, cells in columns.items():
            if name == "state":
                line += [(" ", ""), (gate.pad(f"{getattr(self._glyphs, sign)} {states.word(row.summary.status)}", cells), style)]
            else:
                text = cell(name, row, self._glyphs, now)
                line += [("  ", ""), (gate.pad(text, cells), "bright" if name == "name" else "text")]
        return [(text, f"{names} cursor".strip()) for text, names in line] if is_current else line


def fitted(width: int) -> dict[str, int]:
    """Column → cells for a width."""
    left_out = [name for name, needed in OPTIONAL if width < needed]
    columns = {name: cells for name, cells in COLUMNS.items() if name not in left_out}
    rest = width - 4 - sum(columns.values()) - 2 * (len(columns) - 1)
    return columns | {"name": max(8, columns["name"] + rest)}


def cell(name: str, row: Row, glyphs: Glyphs, now: float) -> str:
    """What stands in a column."""
    summary = row.summary
    match name:
        case "name":
            return gate.safe(row.run.name)
        case "model":
            return gate.safe(row.model)
        case "steps":
            return f"{summary.step:,}/{summary.max_steps:,}" if summary.max_steps else f"{summary.step:,}" if summary.step else ""
        case "eval":
            return _course(row, lambda found: amounts.loss(found.loss), glyphs)
        case "accuracy":
            return _course(row, lambda found: amounts.share(found.accuracy), glyphs)
        case "when":
            return amounts.age(max(0.0, now - row.when)) if row.when else ""
    return amounts.size(row.size)


def _course(row: Row, figure: Callable[[events.Eval], str], glyphs: Glyphs) -> str:
    """A figure of the first evaluation and of the newest."""
    found = [evaluation for evaluation in (row.first_eval, row.summary.last_eval) if evaluation is not None]
    return states.course(figure(found[0]), figure(found[-1]), glyphs) if found else ""

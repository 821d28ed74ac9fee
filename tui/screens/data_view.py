"""What of a file is looked at: which rows, which page, and how; and that page as lines. No widgets."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.lengths import PARTS
from data.text_index import fold
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.data_filter import Filters, select
from tui.screens.data_lengths import length_lines
from tui.screens.data_pages import examples_of, record_page, token_page
from tui.screens.data_split import split_lines
from tui.screens.data_summary import summary_lines
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.lines import Line, wrap
from tui.widgets.record_view import Look

SHORTEST = 16
"""The least cut-off in tokens."""


@dataclass
class View:
    """mode: list, record, tokens, summary, split or lengths.  turn: of the record's examples.  found: rows that hold `needle`,
    None before the search has ended.  no_tokenizer: why there are no token counts."""

    mode: str = "list"
    turn: int = 0
    part: str = "whole"
    folds_thinking: bool = False
    filters: Filters = ()
    needle: str = ""
    found: array | None = None
    no_tokenizer: str = ""

    @property
    def is_narrowed(self) -> bool:
        return bool(self.filters or self.needle)

    def rows(self, table: RecordTable) -> Sequence[int]:
        """The rows the list shows."""
        rows = select(table, self.filters)
        if not self.needle or self.found is None:
            return rows
        if not self.filters:
            return self.found
        unusable = [row for row in rows if row < 0 and fold(self.needle) in fold(str(table.raw(row)))]
        usable = np.array([row for row in rows if row >= 0], dtype=np.int32)
        return array("i", [*unusable, *usable[np.isin(usable, np.frombuffer(self.found.tobytes(), dtype=np.int32))].tolist()])

    def step_turn(self, table: RecordTable, row: int | None, by: int) -> bool:
        """Go to the record's next turn in the token view, or to the next part of the lengths; False where there is none."""
        if self.mode == "lengths":
            self.part = PARTS[(PARTS.index(self.part) + by) % len(PARTS)]
            return True
        if self.mode != "tokens" or row is None or not 0 <= self.turn + by < examples_of(table, row):
            return False
        self.turn += by
        return True

    def page(self, table: RecordTable, row: int | None, signs: Glyphs, is_ascii: bool, width: int, height: int) -> list[Line]:
        """The lines beside or instead of the list."""
        match self.mode:
            case "summary":
                return summary_lines(table, signs, is_ascii, width)
            case "split":
                return split_lines(table, signs, width)
            case "lengths":
                return length_lines(table, self.no_tokenizer, self.part, is_ascii, width, height)
        if row is None:
            return [[], *wrap([(tr("data.none_shown"), "dim")], width)]
        if self.mode == "tokens":
            return token_page(table, row, self.turn, self.no_tokenizer, is_ascii, width)
        return record_page(table, row, Look(self.folds_thinking, self.mode == "record", self.needle, ascii_only=is_ascii), width)


def empty_page(error: str, signs: Glyphs, width: int) -> list[Line]:
    """While there is no file: what is wrong with the one that was asked for, or that it is being read."""
    if not error:
        return [[], [(tr("data.stage_read"), "dim")]]
    lines: list[Line] = [[]]
    for line in gate.safe_lines(error).split("\n"):
        lines += wrap([(f"{signs.failed} " if len(lines) == 1 else "  ", "bad"), (line, "")], width, "  ")
    return [*lines, [], *wrap([(tr("data.try_another"), "label")], width)]


def moved_cutoff(cutoff: int, by: int) -> int:
    """An eighth of its power of two further."""
    step = max(1 << (cutoff - (by < 0)).bit_length() - 4, 1)
    return max((cutoff // step + by) * step, SHORTEST)

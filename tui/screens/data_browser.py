"""A file's records as a list, with the page beside it or instead of it, searched and filtered. It reads and changes no file.

What is looked at is `data_view`; searching runs in a thread.
"""

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.data_filter import Filter, Filters, offers, toggled
from tui.screens.data_job import Job
from tui.screens.data_keys import BROWSING
from tui.screens.data_loading import Stage
from tui.screens.data_status import file_line, filter_name, progress_of, shown_line
from tui.screens.data_table import RecordTable
from tui.screens.data_view import View, empty_page, moved_cutoff
from tui.session import Session
from tui.texts import tr
from tui.widgets.choices import Choice, Choices
from tui.widgets.line_view import LineView
from tui.widgets.lines import Line
from tui.widgets.record_list import RecordList
from tui.widgets.search_bar import SearchBar

GROUP_CELLS = 6


class Browser(Vertical):
    """Shows the table it is given; its `view` says what of it."""

    BINDINGS: ClassVar = BROWSING
    DEFAULT_CSS = """
    Browser #data-status { height: 2; }
    Browser #data-body { height: 1fr; }
    Browser RecordList { width: 1fr; }
    Browser #data-page { width: 1fr; display: none; }
    Browser.wide #data-page { display: block; border-left: solid $border; }
    Browser.wide RecordList { width: 55%; }
    Browser.paged #data-page { display: block; border-left: none; }
    Browser.paged RecordList { display: none; }
    """

    class Changed(Message):
        """Another row is under the cursor, or something else is looked at."""

    def __init__(self, session: Session):
        super().__init__()
        self._session = session
        self.table: RecordTable | None = None
        self.view = View()
        self.searching = Job(self, "search")
        self._busy, self._error = "", ""
        self._file: Path | None = None

    def compose(self) -> Iterable[Widget]:
        yield Static("", id="data-status", markup=False)
        yield SearchBar(placeholder=tr("data.search_placeholder"))
        with Horizontal(id="data-body"):
            yield RecordList(self._session.ascii, id="data-list")
            yield LineView(id="data-page")

    @property
    def records(self) -> RecordList:
        return self.query_one("#data-list", RecordList)

    @property
    def page(self) -> LineView:
        return self.query_one("#data-page", LineView)

    @property
    def row(self) -> int | None:
        """The row under the cursor."""
        return self.records.record if self.table else None

    # What is shown

    def open(self, table: RecordTable) -> None:
        """Show another file from its first record."""
        self.table = table
        self.view = View(mode=self.view.mode, folds_thinking=self.view.folds_thinking, part=self.view.part)
        self.query_one(SearchBar).close("")
        self.select(row=0)
        if self.view.mode == "list":
            self.records.focus()
        self.show()

    def show(self, home: bool = True) -> None:
        """Draw status, list and page as they are now."""
        self.set_class(self.view.mode != "list" or self.table is None, "paged")
        if self.table is not None:
            self.records.set_columns(self._widest())
            self.page.show(self._build, home)
        else:
            self.page.show(lambda width: empty_page(self._error, self._session.glyphs, width), home)
            self.page.focus()
        self._draw_status()
        self.post_message(self.Changed())

    def show_status(self, file: Path | None, busy: str, error: str = "") -> None:
        """file: the one being read while there is no table.  busy: the long work going on.  error: why there is no table."""
        self._file, self._busy, self._error = file, busy, error
        self._draw_status()

    def grow(self) -> None:
        """While the file is read, its rows become more."""
        if self.table is not None and not self.view.is_narrowed and len(self.records.numbers) != len(self.table):
            self.records.grow(range(len(self.table)), self._widest())

    def select(self, row: int | None) -> None:
        """Fill the list by filters and search, the cursor staying on `row` where it can."""
        assert self.table is not None
        self.records.show_rows(self.table.row, self.view.rows(self.table), self._widest(), row)

    def look_at(self, row: int) -> None:
        """Put the cursor on a row; where the list does not show it, on all records."""
        if row not in self.records.numbers:
            self.view.filters, self.view.needle, self.view.found = (), "", None
        self.select(row)
        self.show(home=False)

    def _widest(self) -> dict[str, int]:
        """Cells of the list's optional columns; groups are named where the list is in their order."""
        assert self.table is not None
        return self.table.widest() | {"group": GROUP_CELLS if Filter("alike", "near") in self.view.filters else 0}

    def _build(self, width: int) -> list[Line]:
        assert self.table is not None
        return self.view.page(self.table, self.row, self._session.glyphs, self._session.ascii, width, self.page.size.height)

    def _draw_status(self) -> None:
        width = self.size.width
        busy = progress_of(self.searching.stage) if self.searching.stage else self._busy
        top = file_line(self._file, self.table, width)
        bottom = shown_line(self.table, self.view.filters, self.view.needle, len(self.records.numbers), busy, width)
        self.query_one("#data-status", Static).update(top + "\n" + bottom)

    def on_record_list_moved(self, event: RecordList.Moved) -> None:
        self.view.turn = 0
        if self.table is not None and (self.view.mode in ("record", "tokens") or self.has_class("wide")):
            self.page.show(self._build)
        self.post_message(self.Changed())

    def on_record_list_opened(self, event: RecordList.Opened) -> None:
        self.open_page("record")

    def open_page(self, mode: str) -> None:
        """mode: as in `View`."""
        self.view.mode, self.view.turn = mode, 0
        self.show()
        (self.records if mode == "list" else self.page).focus()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing here are not offered."""
        view, table = self.view, self.table
        match action:
            case "back":
                return view.mode != "list" or view.is_narrowed
            case "search" | "filter" | "page" | "groups":
                return table is not None
            case "cutoff":
                return table is not None and table.is_counted and view.mode in ("list", "summary", "lengths")
            case "step":
                return view.mode in ("record", "tokens", "lengths")
            case "fold":
                return view.mode in ("record", "list")
            case "alike":
                return table is not None and self.row is not None and bool(table.near_group(self.row))
        return True

    def action_back(self) -> None:
        """Out of the page to the list; in the list, out of search and filters."""
        if self.view.mode != "list":
            self.open_page("list")
            return
        self.query_one(SearchBar).close("")
        self.view.needle, self.view.found = "", None
        self._filter(())

    def action_search(self) -> None:
        self.open_page("list")
        self.query_one(SearchBar).open()

    def on_search_bar_sought(self, event: SearchBar.Sought) -> None:
        if (table := self.table) is None:
            return
        self.view.needle = needle = event.needle
        if needle:
            self.searching.start(Stage("find"), lambda tell: tell(table.search(needle, lambda: tell(Stage("find")))))
        else:
            self.searching.stop()
            self.view.found = None
            self.select(self.row)
        self._draw_status()

    def on_job_told(self, event: Job.Told) -> None:
        """What the search found."""
        event.stop()
        event.job.take(event.update)
        if isinstance(event.update, array):
            event.job.end()
            self.view.found = event.update
            self.select(self.row)
            self.show()

    def on_search_bar_left(self) -> None:
        self.records.focus()

    def action_filter(self) -> None:
        assert self.table is not None
        sign = self._session.glyphs.done
        offered = offers(self.table, self.view.filters)
        choices = [Choice(one, f"{sign if one in self.view.filters else ' '} {filter_name(one)}", f"{n:,}") for one, n in offered]
        current = next(iter(self.view.filters), None)
        self.app.push_screen(Choices(tr("data.filter_title"), choices, current), self._take_filter)

    def _take_filter(self, chosen: object) -> None:
        if isinstance(chosen, Filter):
            self._filter(toggled(self.view.filters, chosen))

    def _filter(self, filters: Filters) -> None:
        self.view.filters = filters
        self.select(self.row)
        self.open_page("list")

    def action_groups(self) -> None:
        """Only near duplicates, group by group; again for all."""
        self._take_filter(Filter("alike", "near"))

    def action_alike(self) -> None:
        """Only the records like this one."""
        assert self.table is not None and self.row is not None
        self._take_filter(Filter("alike", str(int(self.table.groups[self.row]))))

    def action_page(self, mode: str) -> None:
        """Open a page; its own key closes it again."""
        self.open_page("list" if mode == self.view.mode else mode)

    def action_step(self, by: int) -> None:
        """The next turn of the token view or part of the lengths, else the next record."""
        if self.table is not None and self.view.step_turn(self.table, self.row, by):
            self.page.show(self._build)
        elif self.view.mode != "lengths":
            self.records.move_to(self.records.position + by)

    def action_fold(self) -> None:
        self.view.folds_thinking = not self.view.folds_thinking
        self.show(home=False)

    def action_cutoff(self, by: int) -> None:
        """Move the cut-off; the configuration keeps its own."""
        assert self.table is not None
        self.table.cutoff = moved_cutoff(self.table.cutoff, by)
        if any(one.kind in ("length", "problem") for one in self.view.filters):
            self.select(self.row)
        self.show(home=False)

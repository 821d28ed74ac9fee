"""The data screen: the records of a file, one of them in words or in tokens, the file's summary and its split.

Reading and counting run in a worker that only posts what it found (`data_loading`); pages are built by `data_pages`,
`data_summary` and `data_split`. Nothing here changes a file.
"""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from data.errors import DanluError
from data.tokenizer import Tokenizer
from engine.config import Config
from engine.config_file import BUNDLED_DATA
from tui import gate
from tui.keymap import bind
from tui.screens.base import DanluScreen
from tui.screens.data_loading import Finished, NoTokenizer, Opened, Stage, TokenizerFound, Update, configured_path, load_file
from tui.screens.data_open import OpenData, remember
from tui.screens.data_pages import examples_of, record_page, token_page
from tui.screens.data_split import split_lines
from tui.screens.data_status import file_line, filter_name, shown_line
from tui.screens.data_summary import summary_lines
from tui.screens.data_table import Filter, RecordTable
from tui.texts import tr
from tui.widgets.choices import Choice, Choices
from tui.widgets.line_view import LineView
from tui.widgets.lines import Line, wrap
from tui.widgets.record_list import RecordList
from tui.widgets.record_view import Look

WIDE = 110
"""Cells from which a record stands beside the list."""
TOLD_EVERY_S = 0.2
SHORTEST = 16


class _Stopped(Exception):
    """Raised through the loading when its worker was cancelled."""


class DataScreen(DanluScreen):
    """One file at a time: the session's, else the configuration's, else the bundled set."""

    tab = "data"
    BINDINGS: ClassVar = [
        bind("escape,backspace", "back", "data.keys.back"),
        bind("right", "step(1)", "data.keys.next", shown_as="← →"),
        bind("l,n", "step(1)", "data.keys.next", show=False),
        bind("left,h,b", "step(-1)", "data.keys.previous", show=False),
        bind("x", "stop", "data.keys.stop"),
        bind("o", "open_file", "data.keys.open"),
        bind("slash", "search", "data.keys.search"),
        bind("f", "filter", "data.keys.filter"),
        bind("t", "page('tokens')", "data.keys.tokens"),
        bind("s", "page('summary')", "data.keys.summary"),
        bind("p", "page('split')", "data.keys.split"),
        bind("left_square_bracket", "cutoff(-1)", "data.keys.shorter", shown_as="[ ]"),
        bind("right_square_bracket", "cutoff(1)", "data.keys.longer", show=False),
        bind("v", "fold", "data.keys.fold", show=False),
        bind("d", "alike", "data.keys.alike", show=False),
        bind("u", "use", "data.keys.use", show=False),
        bind("r", "reload", "data.keys.reload", show=False),
    ]
    CSS = """
    DataScreen #data-status { height: 2; }
    DataScreen #data-search { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    DataScreen #data-search.open { display: block; }
    DataScreen #data-body { height: 1fr; }
    DataScreen RecordList { width: 1fr; }
    DataScreen #data-page { width: 1fr; display: none; }
    DataScreen.wide #data-page { display: block; border-left: solid $border; }
    .ascii DataScreen.wide #data-page { border-left: ascii $border; }
    DataScreen.wide RecordList { width: 55%; }
    DataScreen.paged #data-page { display: block; border-left: none; }
    DataScreen.paged RecordList { display: none; }
    """

    class Told(Message):
        """What the worker found. number: of its loading; those of an earlier one are late and mean nothing."""

        def __init__(self, number: int, update: Update | DanluError | OSError | _Stopped):
            super().__init__()
            self.number, self.update = number, update

    def __init__(self) -> None:
        super().__init__()
        self.table: RecordTable | None = None
        self.mode = "list"
        self._path: Path | None = None
        self._opening: Path | None = None
        self._loaded: tuple[object, ...] = ()
        self._number = 0
        self._stage: Stage | None = None
        self._is_stopped = False
        self._tokenizer: Tokenizer | None = None
        self._no_tokenizer = ""
        self._filter, self._needle = Filter(), ""
        self._turn = 0
        self._folds_thinking = False
        self._error = ""

    def compose_body(self) -> Iterable[Widget]:
        yield Static("", id="data-status", markup=False)
        search = Input(id="data-search", placeholder=tr("data.search_placeholder"))
        search.cursor_blink = False
        yield search
        with Horizontal(id="data-body"):
            yield RecordList(self.session.ascii, id="data-list")
            yield LineView(id="data-page")

    @property
    def records(self) -> RecordList:
        return self.query_one("#data-list", RecordList)

    @property
    def page(self) -> LineView:
        return self.query_one("#data-page", LineView)

    def on_screen_resume(self) -> None:
        """Load what the session or the configuration names now, unless it is what is shown."""
        if not self.focused:
            self.records.focus()
        if self._wanted() != self._loaded:
            self._load()

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self._show)

    # Loading

    def _wanted(self) -> tuple[object, ...]:
        """The path and all of the configuration that the findings depend on."""
        config, document = self._config(), self.session.document
        configured = configured_path(config, document.path if document else None)
        return (self.session.data_path or configured or BUNDLED_DATA, config.model, config.data, config.train.seed)

    def _config(self) -> Config:
        return self.session.document.values if self.session.document else Config()

    def _load(self) -> None:
        """Start reading; what is shown stays until the first records of the new file are there."""
        self._loaded = self._wanted()
        self._opening = Path(str(self._loaded[0]))
        self._number += 1
        self._stage, self._is_stopped = Stage("read"), False
        work = partial(self._read, self._number, self._opening, self._config())
        self.run_worker(work, thread=True, exclusive=True, group="load", exit_on_error=True)
        self._show_status()

    def _read(self, number: int, path: Path, config: Config) -> None:
        """In the worker: post every finding, progress a few times a second."""
        worker = get_current_worker()
        last = ("", 0.0)

        def tell(update: Update) -> None:
            nonlocal last
            if worker.is_cancelled:
                raise _Stopped
            if isinstance(update, Stage):
                now = time.monotonic()
                if update.name == last[0] and now - last[1] < TOLD_EVERY_S:
                    return
                last = (update.name, now)
            self.post_message(self.Told(number, update))

        try:
            load_file(path, config, tell)
        except (DanluError, OSError, _Stopped) as error:
            self.post_message(self.Told(number, error))

    def on_data_screen_told(self, event: Told) -> None:
        if event.number != self._number:
            return
        match event.update:
            case Stage() as stage:
                self._stage = stage
                self._show_status()
                return
            case Opened(table):
                self._opened(table)
            case TokenizerFound(tokenizer):
                self._tokenizer = tokenizer
            case NoTokenizer(reason):
                self._no_tokenizer, self._tokenizer = reason, None
            case Finished():
                self._stage = None
            case _Stopped():
                self._stage, self._is_stopped = None, True
            case error:
                self._failed(error)
        self._show(home=False)

    def _opened(self, table: RecordTable) -> None:
        assert self._opening is not None
        self.table, self._path, self._error = table, self._opening, ""
        self._tokenizer, self._no_tokenizer = None, ""
        self._filter, self._needle, self._turn = Filter(), "", 0
        self._close_search()
        remember(self._path)
        self._select(record=0)
        if self.mode == "list":
            self.records.focus()

    def _failed(self, error: Exception) -> None:
        """A file that cannot be used: beside what is shown already, or in its place when there is nothing."""
        self._stage, self._error = None, str(error)
        if self.table is not None:
            self.notify_error(error)
            self.session.data_path = self._path
            self._loaded = self._wanted()

    # What is shown

    def _show(self, home: bool = True) -> None:
        """Draw status, list and page as the state says."""
        self.set_class(self.mode != "list" or self.table is None, "paged")
        self._show_status()
        if self.table is not None:
            self.records.set_columns(self.table.widest())
            self.page.show(self._build, home)
        else:
            self.page.show(self._build_empty, home)
            self.page.focus()
        self.refresh_bindings()

    def _build(self, width: int) -> list[Line]:
        table, record, signs, is_ascii = self.table, self.records.record, self.session.glyphs, self.session.ascii
        assert table is not None
        if self.mode == "summary":
            return summary_lines(table, self._no_tokenizer, signs, is_ascii, width)
        if self.mode == "split":
            return split_lines(table, signs, width)
        if record is None:
            return [[], [(tr("data.none_shown"), "dim")]]
        if self.mode == "tokens":
            return token_page(table, record, self._turn, self._tokenizer, self._no_tokenizer, is_ascii, width)
        look = Look(self._folds_thinking, self.mode == "record", self._needle, ascii_only=is_ascii)
        return record_page(table, record, look, width)

    def _build_empty(self, width: int) -> list[Line]:
        if not self._error:
            return [[], [(tr("data.stage_read"), "dim")]]
        sign = self.session.glyphs.failed
        lines: list[Line] = [[]]
        for line in gate.safe_lines(self._error).split("\n"):
            lines += wrap([(f"{sign} " if len(lines) == 1 else "  ", "bad"), (line, "")], width, "  ")
        return [*lines, [], *wrap([(tr("data.try_another"), "label")], width)]

    def _show_status(self) -> None:
        width = self.size.width
        top = file_line(self._path or self._opening, self.table, width)
        shown = len(self.records.numbers)
        bottom = shown_line(self.table, self._filter, self._needle, shown, self._stage, self._is_stopped, width)
        self.query_one("#data-status", Static).update(top + "\n" + bottom)

    def _select(self, record: int | None) -> None:
        """Fill the list by filter and search, the cursor staying on `record` where it can."""
        assert self.table is not None
        visible = self.table.select(self._filter)
        if folded := self._needle.casefold():
            visible = [number for number in visible if self.table.contains(number, folded)]
        self.records.show_rows(self.table.row, visible, self.table.widest(), record)

    def on_record_list_moved(self, event: RecordList.Moved) -> None:
        self._turn = 0
        if self.table is not None and (self.mode in ("record", "tokens") or self.has_class("wide")):
            self.page.show(self._build)

    def on_record_list_opened(self, event: RecordList.Opened) -> None:
        self._open_page("record")

    def _open_page(self, mode: str) -> None:
        self.mode, self._turn = mode, 0
        self._show()
        (self.records if mode == "list" else self.page).focus()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing here are not offered."""
        match action:
            case "back":
                return self.mode != "list" or self._filter.kind != "all" or bool(self._needle)
            case "stop":
                return self._stage is not None
            case "search" | "filter" | "page" | "use":
                return self.table is not None
            case "cutoff":
                return self.table is not None and bool(self.table.lengths) and self.mode in ("list", "summary")
            case "step":
                return self.mode in ("record", "tokens")
            case "fold":
                return self.mode in ("record", "list")
            case "alike":
                record = self.records.record
                return self.table is not None and record is not None and bool(self.table.near_group(record))
        return True

    def action_back(self) -> None:
        """Out of the page to the list; in the list, out of search and filter."""
        if self.mode != "list":
            self._open_page("list")
            return
        self._filter = Filter()
        self._search("")
        self._close_search()

    def action_stop(self) -> None:
        self.workers.cancel_group(self, "load")

    def action_open_file(self) -> None:
        document = self.session.document
        self.app.push_screen(OpenData(configured_path(self._config(), document.path if document else None)), self._open)

    def _open(self, path: Path | None) -> None:
        if path is not None:
            self.session.data_path = path
            self._open_page("list")
            self._load()

    def action_reload(self) -> None:
        self._load()

    def action_search(self) -> None:
        self._open_page("list")
        field = self.query_one("#data-search", Input)
        field.add_class("open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._needle:
            self._search(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._close_search()

    def _search(self, needle: str) -> None:
        if self.table is not None:
            self._needle = needle
            self._select(self.records.record)
            self._show()

    def _close_search(self) -> None:
        """Put the field away; what was searched for stays."""
        field = self.query_one("#data-search", Input)
        with field.prevent(Input.Changed):
            field.value = self._needle
        field.remove_class("open")
        if field.has_focus:
            self.records.focus()

    def action_filter(self) -> None:
        assert self.table is not None
        choices = [Choice(wanted, filter_name(wanted), f"{count:,}") for wanted, count in self.table.filters()]
        self.app.push_screen(Choices(tr("data.filter_title"), choices, self._filter), self._take_filter)

    def _take_filter(self, wanted: object) -> None:
        if isinstance(wanted, Filter):
            self._filter = wanted
            self._select(self.records.record)
            self._open_page("list")

    def action_alike(self) -> None:
        """Only the records like this one."""
        record = self.records.record
        if self.table is not None and self.table.split is not None and record is not None:
            self._take_filter(Filter("group", str(self.table.split.groups[record])))

    def action_page(self, mode: str) -> None:
        """Open a page; its own key closes it again."""
        self._open_page("list" if mode == self.mode else mode)

    def action_step(self, by: int) -> None:
        """The next turn in the token view, else the next record."""
        record = self.records.record
        is_in_tokens = self.mode == "tokens" and self.table is not None and record is not None
        if is_in_tokens and 0 <= self._turn + by < examples_of(self.table, record):
            self._turn += by
            self.page.show(self._build)
            return
        self.records.move_to(self.records.position + by)

    def action_fold(self) -> None:
        self._folds_thinking = not self._folds_thinking
        self._show(home=False)

    def action_cutoff(self, by: int) -> None:
        """Move the cut-off by an eighth of its power of two; the configuration keeps its own."""
        if self.table is None:
            return
        step = max(1 << (self.table.cutoff - (by < 0)).bit_length() - 4, 1)
        self.table.cutoff = max((self.table.cutoff // step + by) * step, SHORTEST)
        if self._filter.kind in ("over_length", "problems"):
            self._select(self.records.record)
        self._show(home=False)

    def action_use(self) -> None:
        """Put this file and this cut-off into the configuration and go there."""
        document = self.session.document
        if document is None or self.table is None or self._path is None:
            self.say(tr("data.no_config"), severity="warning")
            return
        try:
            document.set("data.path", "bundled" if self._path == BUNDLED_DATA else str(self._path.resolve()))
            document.set("data.max_seq_length", self.table.cutoff)
        except DanluError as error:
            self.notify_error(error)
            return
        self.danlu.edit_config(document)

"""The data screen: a file's records to look at (`data_browser`), to mend (`data_editing`), and to save as a new file.

Reading, counting and saving run in threads that only post what they found (`data_job`). The file that was opened is never written.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, work
from textual.widget import Widget

from data.errors import DanluError
from data.saving import Outcome, save
from engine.config import Config
from engine.config_file import BUNDLED_DATA
from tui.screens.base import DanluScreen
from tui.screens.data_browser import Browser
from tui.screens.data_editing import Editing
from tui.screens.data_job import Job, Stopped
from tui.screens.data_keys import DOING
from tui.screens.data_loading import Finished, NoTokenizer, Opened, Stage, configured_path, load_file
from tui.screens.data_recent import SUFFIXES, likely_files, remember
from tui.screens.data_status import progress_of
from tui.screens.data_table import RecordTable
from tui.screens.open_file import OpenFile
from tui.texts import tr
from tui.widgets.dialogs import Ask, Confirm

WIDE = 110
"""Cells from which a record stands beside the list."""


class DataScreen(DanluScreen):
    """One file at a time: the session's, else the configuration's, else the bundled set."""

    tab = "data"
    BINDINGS: ClassVar = DOING

    def __init__(self) -> None:
        super().__init__()
        self.editing: Editing | None = None
        self.error = ""
        self.reading, self.saving = Job(self, "load"), Job(self, "save")
        self._opening: Path | None = None
        self._loaded: tuple[object, ...] = ()
        self._target = Path()

    def compose_body(self) -> Iterable[Widget]:
        yield Browser(self.session)

    @property
    def browser(self) -> Browser:
        return self.query_one(Browser)

    @property
    def table(self) -> RecordTable | None:
        return self.browser.table

    def on_screen_resume(self) -> None:
        """Load what the session or the configuration names now, unless it is what is shown."""
        if not self.focused:
            self.browser.records.focus()
        if self._wanted() != self._loaded:
            self._load()

    def on_unmount(self) -> None:
        if self.editing:
            self.editing.close()

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self.browser.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self.browser.show)

    def on_browser_changed(self) -> None:
        self.refresh_bindings()

    # Reading

    def _wanted(self) -> tuple[object, ...]:
        """The path and all of the configuration that the findings depend on."""
        config = self._config()
        return (self.session.data_path or self._configured() or BUNDLED_DATA, config.model, config.data, config.train.seed)

    def _config(self) -> Config:
        return self.session.document.values if self.session.document else Config()

    def _configured(self) -> Path | None:
        return configured_path(self._config(), self.session.document.path if self.session.document else None)

    def _load(self) -> None:
        """Start reading; what is shown stays until the first records of the new file are there."""
        self._loaded = self._wanted()
        self._opening = Path(str(self._loaded[0]))
        self.reading.start(Stage("read"), partial(load_file, self._opening, self._config()))
        self._show_status()

    def on_job_told(self, event: Job.Told) -> None:
        event.job.take(event.update)
        match event.update:
            case Stage():
                self.browser.grow()
                self._show_status()
            case Opened(table):
                self._opened(table)
            case NoTokenizer(reason):
                self.browser.view.no_tokenizer = reason
            case Outcome() as outcome:
                event.job.end()
                self._saved(outcome)
            case Finished():
                event.job.end()
            case Exception() as error if not isinstance(error, Stopped):
                self._failed(event.job, error)
        if not isinstance(event.update, Stage):
            self._show_status()
            self.browser.grow()
            self.browser.show(home=False)
        if self.editing and self.editing.waiting and self.table is not None and self.table.dataset.is_complete:
            self.editing.waiting = False  # asked once, however many updates come before the question is on screen
            self._recover(self.editing)

    def _opened(self, table: RecordTable) -> None:
        if self.editing:
            self.editing.close()
        self.error = ""
        self.editing = Editing(table)
        remember(table.dataset.path)
        self.browser.open(table)

    def _failed(self, job: Job, error: Exception) -> None:
        """A file that cannot be used: beside what is shown already, or in its place when there is nothing."""
        if job is self.saving or self.table is not None:
            self.notify_error(error)
        if job is self.reading:
            self.error = str(error)
            if self.table is not None:
                self.session.data_path = self.table.dataset.path
                self._loaded = self._wanted()

    def _show_status(self) -> None:
        stage = self.saving.stage or self.reading.stage
        busy = progress_of(stage) if stage else tr("data.stopped") if self.reading.is_stopped else ""
        self.browser.show_status(self._opening, busy, self.error)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing here are not offered."""
        if not self.is_mounted:
            return True
        table = self.table
        match action:
            case "stop":
                return any(job.stage for job in self._jobs())
            case "use" | "save" | "reload":
                return table is not None
            case "edit" | "leave_out" | "leave_out_shown":
                return self.browser.row is not None and self.browser.view.mode in ("list", "record", "tokens")
            case "undo":
                return table is not None and table.edits.can_undo
            case "redo":
                return table is not None and table.edits.can_redo
        return True

    def _jobs(self) -> tuple[Job, ...]:
        """The latest first."""
        return (self.saving, self.browser.searching, self.reading)

    def action_stop(self) -> None:
        next(job for job in self._jobs() if job.stage).stop()

    def action_open_file(self) -> None:
        likely = partial(likely_files, self._configured())
        self.app.push_screen(OpenFile(tr("data.open_title"), tr("data.open_placeholder"), likely, SUFFIXES), self._open)

    def _open(self, path: Path | None) -> None:
        if path is not None:
            self.session.data_path = path
            self.browser.open_page("list")
            self._load()

    def action_reload(self) -> None:
        self._load()

    def action_use(self) -> None:
        """Put this file and this cut-off into the configuration and go there."""
        document = self.session.document
        if document is None or self.table is None:
            self.say(tr("data.no_config"), severity="warning")
            return
        path = self.table.dataset.path
        try:
            document.set("data.path", "bundled" if path == BUNDLED_DATA else str(path.resolve()))
            document.set("data.max_seq_length", self.table.cutoff)
        except DanluError as error:
            self.notify_error(error)
            return
        self.danlu.edit_config(document)

    # Mending

    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        """Change a field of the record under the cursor."""
        if (row := self.browser.row) is not None and self._may_edit() and self.editing:
            try:
                await self.editing.edit(self.app, row)
            except DanluError as error:
                self.notify_error(error)
            self._changed([row])

    def action_leave_out(self) -> None:
        """Leave the record under the cursor out, or take it in again; go on to the next."""
        if (row := self.browser.row) is not None and self._leave_out([row]):
            self.browser.records.action_move(1)

    @work(exclusive=True, group="edit")
    async def action_leave_out_shown(self) -> None:
        rows = list(self.browser.records.numbers)
        text = tr("data.leave_out_shown", count=f"{len(rows):,}")
        if await self.app.push_screen_wait(Confirm(tr("data.leave_out_title"), text)):
            self._leave_out(rows)

    def _leave_out(self, rows: Sequence[int]) -> bool:
        if not self._may_edit() or self.editing is None:
            return False
        try:
            self.editing.leave_out(rows)
        except DanluError as error:
            self.notify_error(error)
        self._changed(rows)
        return True

    def action_undo(self) -> None:
        self._step_back(self.editing.undo if self.editing else lambda: None)

    def action_redo(self) -> None:
        self._step_back(self.editing.redo if self.editing else lambda: None)

    def _step_back(self, take) -> None:
        try:
            rows = take()
        except DanluError as error:
            self.notify_error(error)
            return
        if rows:
            self.browser.look_at(rows[0])
            self._changed(rows)

    def _may_edit(self) -> bool:
        """Not before somebody was asked about the edits of an earlier console, and not while they are being saved."""
        if self.editing is None or self.editing.waiting or self.saving.stage:
            self.say(tr("data.still_saving" if self.saving.stage else "data.still_reading"), severity="warning")
            return False
        return True

    def _changed(self, rows: Sequence[int]) -> None:
        """Draw what was changed, the cursor where it was."""
        if any(one.kind == "state" for one in self.browser.view.filters):
            self.browser.select(self.browser.row)
        self._show_status()
        self.browser.show(home=False)

    @work(exclusive=True, group="edit")
    async def _recover(self, editing: Editing) -> None:
        """Offer the edits of a console that died."""
        try:
            stale = await editing.offer_recovery(self.app)
        except (DanluError, OSError) as error:
            self.notify_error(error)
            return
        if stale:
            self.say(tr("data.recover_stale", count=stale), severity="warning")
        self._changed([])

    @work(exclusive=True, group="edit")
    async def action_save(self) -> None:
        """Write the records as they are now into a new file."""
        table = self.table
        if table is None or not table.dataset.is_complete:
            self.say(tr("data.still_reading"), severity="warning")
            return
        source = table.dataset.path
        name = str(source.with_name(f"{source.stem}-edited.jsonl"))
        typed = await self.app.push_screen_wait(Ask(tr("data.save_title"), tr("data.save_text"), name))
        if not typed or not typed.strip():
            return
        self._target = target = Path(typed.strip()).expanduser()
        overwrites = target.is_file() and not target.samefile(source)
        if overwrites and not await self.app.push_screen_wait(Confirm(tr("data.save_title"), tr("data.save_over", path=str(target)))):
            return
        progress = lambda tell: lambda done, total: tell(Stage("save", done, total))  # noqa: E731
        self.saving.start(Stage("save"), lambda tell: tell(save(table.dataset, table.edits, target, overwrites, progress(tell))))
        self._show_status()

    def _saved(self, outcome: Outcome) -> None:
        assert self.table is not None
        counts = {name: f"{count:,}" for name, count in outcome._asdict().items()}
        text = tr("data.saved", path=str(self._target), **counts)
        self.say(text + (" " + tr("data.saved_lost", **counts) if outcome.lost else ""))
        try:
            self.table.edits.mark_saved(str(self._target))
        except DanluError as error:
            self.notify_error(error)

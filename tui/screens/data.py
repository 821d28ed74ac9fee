"""The data screen: a file's records to look at (`data_browser`), to mend (`data_editing`), and to save as a new file.

Reading, counting and saving run in threads that only post what they found (`data_job`). The file that was opened is never written.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, work
from textual.app import App
from textual.widget import Widget

from data.errors import DanluError
from data.saving import Outcome, save
from tui.screens import data_choice as choice
from tui.screens import data_fixing
from tui.screens.base import DanluScreen
from tui.screens.data_browser import Browser
from tui.screens.data_editing import Editing, Proposed
from tui.screens.data_fixing import Fixable
from tui.screens.data_job import Job, Stopped
from tui.screens.data_keys import DOING
from tui.screens.data_loading import Finished, NoTokenizer, Opened, Stage, load_file
from tui.screens.data_status import progress_of, saved_text
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
        self.reading, self.saving, self.changing = Job(self, "load"), Job(self, "save"), Job(self, "change")
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
            self.action_reload()

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
        path, config = choice.wanted(self.session)
        return (path, config.model, config.data, config.train.seed)

    def action_reload(self) -> None:
        """Start reading; what is shown stays until the first records of the new file are there."""
        self._loaded = self._wanted()
        self._opening = Path(str(self._loaded[0]))
        config, evaluation = choice.config_of(self.session), choice.evaluation(self.session)
        self.reading.start(Stage("read"), partial(load_file, self._opening, config, evaluation))
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
            case Fixable() as fixable:
                event.job.end()
                self._ask_what_to_fix(fixable)
            case Proposed() as proposed:
                event.job.end()
                self._take(proposed)
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
            self.changing.stop()
            self.editing.close()
        self.error, self.editing = "", Editing(table)
        choice.remember(table.dataset.path)
        self.browser.open(table)

    def _failed(self, job: Job, error: Exception) -> None:
        """A file that cannot be used: beside what is shown already, or in its place when there is nothing."""
        if job is not self.reading or self.table is not None:
            self.notify_error(error)
        if job is self.reading:
            self.error = str(error)
            if self.table is not None:
                self._opening = self.session.data_path = self.table.dataset.path
                self._loaded = self._wanted()

    def _show_status(self) -> None:
        stage = self.saving.stage or self.changing.stage or self.reading.stage
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
                return bool(self._jobs())
            case "use" | "save" | "reload":
                return table is not None
            case "edit" | "fix" | "fix_shown" | "leave_out" | "leave_out_shown":
                return self.browser.row is not None and self.browser.view.mode in ("list", "record", "tokens")
            case "undo" | "redo":
                return table is not None and (table.edits.can_undo if action == "undo" else table.edits.can_redo)
        return True

    def _jobs(self) -> list[Job]:
        """What is going on, the latest first."""
        return [job for job in (self.saving, self.changing, self.browser.searching, self.reading) if job.stage]

    def action_stop(self) -> None:
        self._jobs()[0].stop()

    def action_open_file(self) -> None:
        likely = partial(choice.likely_files, choice.configured(self.session))
        self.app.push_screen(OpenFile(tr("data.open_title"), tr("data.open_placeholder"), likely, choice.SUFFIXES), self._open)

    def _open(self, path: Path | None) -> None:
        if path is not None:
            self.app.clear_notifications()  # what was wrong with another file
            self.session.data_path = path
            self.browser.open_page("list")
            self.action_reload()

    def action_use(self) -> None:
        """Put this file and this cut-off into the configuration and go there."""
        document = self.session.document
        if document is None or self.table is None:
            self.say(tr("data.no_config"), severity="warning")
            return
        try:
            choice.use(document, self.table.dataset.path, self.table.cutoff)
        except DanluError as error:
            self.notify_error(error)
            return
        self.danlu.edit_config(document)

    # Mending

    def action_edit(self) -> None:
        """Change a field of the record under the cursor."""
        self._mend(Editing.edit)

    def action_fix(self) -> None:
        """Offer what can be repaired in the record under the cursor."""
        self._mend(Editing.fix)

    @work(exclusive=True, group="edit")
    async def _mend(self, mend: Callable[[Editing, App, int], Awaitable[bool | None]]) -> None:
        """mend: gives None where there is nothing to do."""
        if (row := self.browser.row) is not None and self._may_edit() and self.editing:
            try:
                if await mend(self.editing, self.app, row) is None:
                    self.say(tr("data.nothing_to_fix"))
            except DanluError as error:
                self.notify_error(error)
            self._changed()

    def action_leave_out(self) -> None:
        """Leave the record under the cursor out, or take it in again; go on to the next."""
        if (row := self.browser.row) is not None and self._may_edit():
            self._make(lambda editing: editing.leave_out(row))
            self.browser.records.action_move(1)

    @work(exclusive=True, group="edit")
    async def action_leave_out_shown(self) -> None:
        rows = list(self.browser.records.numbers)
        asking = Confirm(tr("data.leave_out_title"), tr("data.leave_out_shown", count=f"{len(rows):,}"))
        if await self.app.push_screen_wait(asking) and self._may_edit() and (editing := self.editing):
            self._change_many(Stage("leave_out"), partial(editing.leaving_out, rows))

    def action_fix_shown(self) -> None:
        """Look for what could be repaired in all records shown."""
        if self._may_edit() and self.editing:
            self._change_many(Stage("fix"), partial(data_fixing.look, self.editing, list(self.browser.records.numbers)))

    @work(exclusive=True, group="edit")
    async def _ask_what_to_fix(self, fixable: Fixable) -> None:
        if not fixable.rows:
            self.say(tr("data.nothing_to_fix"))
        elif (codes := await data_fixing.ask(self.app, fixable)) and self._may_edit() and fixable.editing is self.editing:
            self._change_many(Stage("fix"), partial(data_fixing.propose, fixable, codes))

    def _change_many(self, stage: Stage, work: Callable[[Callable[[object], None]], None]) -> None:
        """Look through many records in a thread, for changes that are then made as one step."""
        self.changing.start(stage, work)
        self._show_status()

    def _take(self, proposed: Proposed) -> None:
        """Make it, unless another file was opened meanwhile."""
        if proposed.editing is self.editing:
            self._make(lambda editing: editing.take(proposed))

    def _make(self, edit: Callable[[Editing], None]) -> None:
        assert self.editing is not None
        try:
            edit(self.editing)
        except DanluError as error:
            self.notify_error(error)
        self._changed()

    def action_undo(self) -> None:
        self._step_back(Editing.undo)

    def action_redo(self) -> None:
        self._step_back(Editing.redo)

    def _step_back(self, step: Callable[[Editing], list[int] | None]) -> None:
        try:
            rows = step(self.editing) if self._may_edit() and self.editing else None
        except DanluError as error:
            self.notify_error(error)
            return
        if rows:
            self.browser.look_at(rows[0])
            self._changed()

    def _may_edit(self) -> bool:
        """Not before somebody was asked about the edits of an earlier console, and not while they are being made or saved."""
        is_busy = self.saving.stage or self.changing.stage
        if self.editing is None or self.editing.waiting or is_busy:
            self.say(tr("data.still_editing" if is_busy else "data.still_reading"), severity="warning")
            return False
        return True

    def _changed(self) -> None:
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
        self._changed()

    @work(exclusive=True, group="edit")
    async def action_save(self) -> None:
        """Write the records as they are now into a new file."""
        table = self.table
        if table is None or not table.dataset.is_complete:
            self.say(tr("data.still_reading"), severity="warning")
            return
        source = table.dataset.path
        asking = Ask(tr("data.save_title"), tr("data.save_text"), str(source.with_name(f"{source.stem}-edited.jsonl")))
        if not (typed := (await self.app.push_screen_wait(asking) or "").strip()):
            return
        self._target = target = Path(typed).expanduser()
        overwrites = target.is_file() and not target.samefile(source)
        if overwrites and not await self.app.push_screen_wait(Confirm(tr("data.save_title"), tr("data.save_over", path=str(target)))):
            return
        progress = lambda tell: lambda done, total: tell(Stage("save", done, total))  # noqa: E731
        self.saving.start(Stage("save"), lambda tell: tell(save(table.dataset, table.edits, target, overwrites, progress(tell))))
        self._show_status()

    def _saved(self, outcome: Outcome) -> None:
        assert self.table is not None
        self.say(saved_text(outcome, self._target))
        try:
            self.table.edits.mark_saved(str(self._target))
        except DanluError as error:
            self.notify_error(error)

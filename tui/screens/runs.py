"""The runs of the output folder, live and past: show, resume, compare, open the configuration, delete.

A thread looks at the folder every few seconds while the screen is shown, and only sends messages.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import tomlkit
from textual import work
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from data.errors import DanluError
from engine.config_file import RESOLVED_ONLY, Document
from tui import amounts, gate
from tui.keymap import bind
from tui.run_deletion import delete_run
from tui.run_index import Curve, Row, RunIndex
from tui.screens.base import DanluScreen
from tui.texts import tr
from tui.widgets.bars import KeyBar, TabHeader
from tui.widgets.chart import centred
from tui.widgets.comparison import MOST_CURVES, Comparison
from tui.widgets.dialogs import Confirm
from tui.widgets.run_table import RunTable
from tui.widgets.steady import Line, SteadyView

OF_A_RUN = ("attach", "resume", "mark", "compare", "ask", "edit", "delete")
"""Actions that need a run in the list."""


class RunsScreen(DanluScreen):
    """A list and, on demand, curves below it."""

    tab = "runs"
    refresh_s = 2.0
    CSS = """
    RunsScreen #table { height: 1fr; }
    RunsScreen #comparison { height: 2fr; }
    RunsScreen #empty { height: 1fr; }
    """
    BINDINGS: ClassVar = [
        bind("enter", "attach", "runs.keys.attach"),
        bind("r", "resume", "runs.keys.resume"),
        bind("space", "mark", "runs.keys.mark"),
        bind("m", "compare", "runs.keys.compare"),
        bind("a", "ask", "runs.keys.ask"),
        bind("o", "edit", "runs.keys.open"),
        bind("d", "delete", "runs.keys.delete"),
        bind("y", "log_scale", "runs.keys.log", show=False),
        bind("escape", "close", "runs.keys.close", show=False),
        bind("down,j", "move(1)", "runs.keys.down", show=False),
        bind("up,k", "move(-1)", "runs.keys.up", show=False),
        bind("pagedown", "move(10)", "runs.keys.page_down", show=False),
        bind("pageup", "move(-10)", "runs.keys.page_up", show=False),
        bind("home,g", "move(-1000000)", "runs.keys.top", show=False),
        bind("end,G", "move(1000000)", "runs.keys.bottom", show=False),
    ]

    class Listed(Message):
        """What the folder holds now."""

        def __init__(self, rows: list[Row], curves: list[Curve] | None):
            super().__init__()
            self.rows, self.curves = rows, curves

    def __init__(self) -> None:
        super().__init__()
        self._index = RunIndex()
        self._rows: list[Row] | None = None
        self._is_looking = self._look_again = False
        self._is_comparing = False

    def compose_body(self) -> Iterable[Widget]:
        yield SteadyView(id="empty")
        yield RunTable(self.session.glyphs, id="table", classes="panel")
        yield Comparison(self.session.glyphs, self.session.ascii, id="comparison", classes="panel")

    @property
    def table(self) -> RunTable:
        return self.query_one(RunTable)

    def offers(self, binding: Binding) -> bool:
        """Without a run there is nothing that these keys could act on."""
        return bool(self._rows) or binding.action not in OF_A_RUN

    # Looking

    def on_mount(self) -> None:
        self._draw()

    def look(self) -> None:
        """Look at the folder, once at a time."""
        if self._is_looking:
            self._look_again = True
            return
        self._is_looking, self._look_again = True, False
        self._read(self.session.output_dir, [row.run for row in self._compared()] if self._is_comparing else None)

    @work(thread=True, group="look", exit_on_error=False)
    def _read(self, folder: Path, compared: list | None) -> None:
        try:
            rows = self._index.rows(folder)
            curves = None if compared is None else [self._index.curve(run) for run in compared]
        except OSError:
            rows, curves = [], None  # the folder went away while it was read; the next look tells
        self.post_message(self.Listed(rows, curves))

    def on_runs_screen_listed(self, message: Listed) -> None:
        self._is_looking = False
        had_runs, self._rows = bool(self._rows), message.rows
        if had_runs != bool(self._rows):
            self.query_one(KeyBar).refresh()
        self._draw()
        if self._is_comparing and message.curves is not None:
            self.query_one(Comparison).draw(message.curves)
        if self._look_again:
            self.look()

    # Drawing

    def _draw(self) -> None:
        has_runs = bool(self._rows)
        self.query_one("#empty").display = not has_runs
        self.table.display = has_runs
        self.query_one(Comparison).display = has_runs and self._is_comparing
        if not has_runs:
            self.query_one("#empty", SteadyView).show(self._empty)
            return
        folder = gate.safe(str(self.session.output_dir))
        marked = f" · {tr('runs.marked', n=len(self.table.marked))}" if self.table.marked else ""
        self.table.name_border(tr("runs.title", folder=folder), tr("runs.counted", n=len(self._rows)) + marked)
        self.table.draw(self._rows)

    def _empty(self, width: int, height: int) -> list[Line]:
        if self._rows is None:
            return centred(tr("runs.reading"), width, height)
        folder = gate.safe(str(self.session.output_dir))
        return [[], *centred(tr("runs.empty", folder=folder), width, 1), [], *centred(tr("runs.empty_how"), width, 1)]

    # Keys

    def action_move(self, rows: int) -> None:
        self.table.move(rows)

    def action_attach(self) -> None:
        """Show the current run on the training screen."""
        if row := self.table.current:
            self.danlu.attach(row.run)

    def action_ask(self) -> None:
        """Ask the model of the current run."""
        if row := self.table.current:
            self.danlu.chat(row.run)

    def action_resume(self) -> None:
        """Start an engine that goes on with the current run."""
        if (row := self.table.current) is None:
            return
        if row.summary.can_resume:
            self.danlu.resume_run(row.run)
        else:
            key = "live" if row.summary.is_alive else "finished"
            self.say(tr(f"runs.resume.{key}", name=row.run.name), "warning")

    def action_mark(self) -> None:
        """Mark or unmark the current run, and go to the next."""
        table = self.table
        if table.current and len(table.marked) >= MOST_CURVES and table.current.run.name not in table.marked:
            self.say(tr("runs.compare.too_many", n=MOST_CURVES), "warning")
            return
        table.toggle_mark()
        table.move(1)
        self._draw()
        if self._is_comparing:
            self.look()

    def action_compare(self) -> None:
        """Show the curves of the marked runs, else of the current one; again to close."""
        self._is_comparing = not self._is_comparing and bool(self._rows)
        if self._is_comparing:
            self.query_one(Comparison).draw(None)
            self.look()
        self._draw()

    def _compared(self) -> list[Row]:
        current = self.table.current
        return self.table.marked_rows or ([current] if current else [])

    def action_close(self) -> None:
        self._is_comparing = False
        self._draw()

    def action_log_scale(self) -> None:
        self.query_one(Comparison).toggle_log()

    def action_edit(self) -> None:
        """Open the current run's configuration as one to start anew: without its name, and without what it was resolved to."""
        if (row := self.table.current) is None:
            return
        try:
            toml = tomlkit.parse(row.run.config.read_text(encoding="utf-8"))
            toml.pop(RESOLVED_ONLY, None)
            document = Document(tomlkit.dumps(toml))
            document.set("run.name", "")
        except (DanluError, OSError) as error:
            self.notify_error(error)
            return
        self.danlu.edit_config(document)

    def action_delete(self) -> None:
        """Delete the current run after `y`; never a live one."""
        if (row := self.table.current) is None:
            return
        if row.run.is_alive():
            self.say(tr("runs.delete.live", name=row.run.name), "warning")
            return
        text = tr("runs.delete.text", path=row.run.path.absolute(), size=amounts.size(row.size))
        asking = Confirm(tr("runs.delete.title", name=row.run.name), text)
        self.app.push_screen(asking, lambda yes: self._delete(row) if yes else None)

    @work(thread=True, group="delete")
    def _delete(self, row: Row) -> None:
        try:
            delete_run(row.run)
        except DanluError as error:
            self.app.call_from_thread(self.notify_error, error)
        else:
            self.app.call_from_thread(self._deleted, row)

    def _deleted(self, row: Row) -> None:
        attached = self.session.run
        if attached is not None and attached.path == row.run.path:
            self.session.run = None
            self.query_one(TabHeader).refresh()
        asked = self.session.chat_run
        if asked is not None and asked.path == row.run.path:
            self.session.chat_run = None
        self.say(tr("runs.delete.done", name=row.run.name))
        self.look()

"""Screen 3: the configuration as a form, checked as it is typed, with what follows from it beside it. Starts the run.

Every change can be undone, nothing typed is lost on the way to another screen, and shipped presets are never written over.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import events, work
from textual.containers import Horizontal
from textual.widget import Widget

from data.errors import DanluError, DataError
from engine.config_file import PRESETS, Document, open_document, presets
from engine.errors import ModelError
from tui import gate
from tui.keymap import bind
from tui.paths import preset_or_path
from tui.screens.base import DanluScreen
from tui.screens.config_dialogs import Differences, TomlView, likely_configs
from tui.screens.config_editing import Editing
from tui.screens.config_form import INFO, KEYS, START, Form, form_lines, matches
from tui.screens.config_panels import AboutPanel, DerivedPanel
from tui.screens.open_file import OpenFile
from tui.texts import tr
from tui.widgets.dialogs import Ask, Confirm
from tui.widgets.steady import SteadyView

FIRST_PRESET = PRESETS / "qwen3-4b-24g.toml"
SAVE_NAME = "my-run.toml"
WHILE_TYPING = ("cancel", "command_palette")


class ConfigScreen(DanluScreen):
    """editing: the document with its history."""

    tab = "config"
    BINDINGS: ClassVar = [
        bind("enter", "edit", "config.keys.edit"),
        bind("x", "start", "config.keys.start"),
        bind("w", "save", "config.keys.save"),
        bind("u", "undo", "config.keys.undo"),
        bind("d", "reset", "config.keys.reset"),
        bind("o,p", "open", "config.keys.open"),
        bind("D", "differences", "config.keys.differences"),
        bind("T", "toml", "config.keys.toml"),
        bind("slash", "search", "config.keys.search"),
        bind("n", "next_match(1)", "config.keys.next_match", show=False),
        bind("N", "next_match(-1)", "config.keys.previous_match", show=False),
        bind("U,ctrl+r", "redo", "config.keys.redo", show=False),
        bind("S", "save_as", "config.keys.save_as", show=False),
        bind("j,down", "move(1)", "config.keys.down", show=False),
        bind("k,up", "move(-1)", "config.keys.up", show=False),
        bind("space,right,l", "cycle(1)", "config.keys.next_choice", show=False),
        bind("left,h", "cycle(-1)", "config.keys.previous_choice", show=False),
        bind("J,right_curly_bracket", "section(1)", "config.keys.next_section", show=False),
        bind("K,left_curly_bracket", "section(-1)", "config.keys.previous_section", show=False),
        bind("pagedown", "move(10)", "config.keys.page_down", show=False),
        bind("pageup", "move(-10)", "config.keys.page_up", show=False),
        bind("g,home", "move(-999)", "config.keys.top", show=False),
        bind("G,end", "move(999)", "config.keys.bottom", show=False),
        bind("escape", "cancel", "common.keys.cancel", show=False),
    ]
    CSS = """
    ConfigScreen #form-side { width: 1fr; }
    ConfigScreen #derived { width: 40%; min-width: 32; max-width: 52; }
    ConfigScreen #about { height: 7; }
    ConfigScreen.tall #about { height: 9; }
    AboutPanel Input { border: none; height: 1; padding: 0; background: $panel; display: none; }
    AboutPanel Input:focus { border: none; }
    AboutPanel.typing Input { display: block; }
    AboutPanel SteadyView { height: 1fr; }
    ConfigScreen.narrow #derived { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.editing = Editing(Document(""))
        self.cursor = KEYS[0]
        self._typed_from = KEYS[0]
        self._faulty: frozenset[str] = frozenset()
        self._found: frozenset[str] = frozenset()
        self._is_shown = False

    def compose_body(self) -> Iterable[Widget]:
        with Horizontal():
            yield SteadyView(id="form-side", classes="panel")
            yield DerivedPanel(self.session.glyphs, id="derived", classes="panel")
        yield AboutPanel(self.session.glyphs, id="about", classes="panel")

    def on_mount(self) -> None:
        self.session.document = self.session.document or open_document(FIRST_PRESET if FIRST_PRESET.is_file() else presets()[0])
        self.editing = Editing(self.session.document)
        self._is_shown = True
        self._after_change()

    def on_screen_resume(self) -> None:
        """Another screen may have handed over a document meanwhile; undo comes back to the one before."""
        if self._is_shown and self.session.document is not None and self.session.document is not self.editing.document:
            self._open(self.session.document)
        if self._is_shown:
            self._after_change()

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self.set_class(event.size.height >= 32, "tall")
        self.set_class(event.size.width < 76, "narrow")
        self.call_after_refresh(self._show)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self._is_shown or not self._about.mode or action in WHILE_TYPING

    # moving

    def action_move(self, rows: int) -> None:
        self.stand_on(KEYS[min(max(0, KEYS.index(self.cursor) + rows), len(KEYS) - 1)])

    def action_section(self, direction: int) -> None:
        firsts = [*reversed({info.section: key for key, info in reversed(INFO.items())}.values()), START]
        here = KEYS.index(self.cursor)
        beyond = [key for key in firsts if (KEYS.index(key) - here) * direction > 0]
        if beyond:
            self.stand_on(beyond[0 if direction > 0 else -1])

    def action_next_match(self, direction: int) -> None:
        here = KEYS.index(self.cursor)
        order = KEYS[here + 1 :] + KEYS[: here + 1] if direction > 0 else KEYS[:here][::-1] + KEYS[here:][::-1]
        found = next((key for key in order if key in self._found), None)
        if found:
            self.stand_on(found)

    # changing

    def action_edit(self) -> None:
        """Type a value; a choice or a flag takes its next one instead."""
        if self.cursor == START:
            self.action_start()
        elif INFO[self.cursor].kind in ("choice", "flag"):
            self.action_cycle(1)
        else:
            self._type("edit", self._text_to_edit())

    def action_cycle(self, direction: int) -> None:
        """The next or previous of a key's choices."""
        if self.cursor == START or (info := INFO[self.cursor]).kind not in ("choice", "flag"):
            return
        choices = info.choices or ("false", "true")
        now = choices.index(self.editing.document.typed(info.key))
        self._set(info.key, choices[(now + direction) % len(choices)])

    def action_reset(self) -> None:
        if self.cursor != START and (which := self.editing.reset(self.cursor)):
            self.say(tr(f"config.reset_{which}", key=self.cursor))
            self._after_change()

    def action_undo(self) -> None:
        self._go_back(self.editing.undo(), "config.nothing_to_undo")

    def action_redo(self) -> None:
        self._go_back(self.editing.redo(), "config.nothing_to_redo")

    def action_search(self) -> None:
        self._type("search", "")

    def action_cancel(self) -> None:
        """Leave what is being typed, the value as it was; or the marks of a search."""
        if self._about.mode == "search":
            self.cursor = self._typed_from
        self._found = frozenset()
        self._stop_typing()

    def on_about_panel_typed(self, event: AboutPanel.Typed) -> None:
        if self._about.mode == "search":
            self._search(event.text)
        self._show_about()

    def on_about_panel_entered(self, event: AboutPanel.Entered) -> None:
        if self._about.mode == "search" or (self._about.mode == "edit" and self._set(self.cursor, event.text)):
            self._stop_typing()

    # files

    def action_save(self) -> None:
        """Where it came from; a shipped preset asks for a name."""
        if self.editing.is_shipped or self.editing.document.path is None:
            self.action_save_as()
        else:
            self._save(None)

    @work
    async def action_save_as(self) -> None:
        name = SAVE_NAME if self.editing.is_shipped or not self.editing.name else str(self.editing.document.path)
        typed = await self.app.push_screen_wait(Ask(tr("config.save_title"), tr("config.save_text"), name))
        if not typed or not typed.strip():
            return
        path = Path(os.path.expanduser(typed.strip()))
        path = path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")
        if path.resolve().parent == PRESETS.resolve():
            self.say(tr("config.shipped", name=path.name), severity="error")
        elif not path.exists() or await self.app.push_screen_wait(Confirm(str(path), tr("config.overwrite", name=path.name))):
            self._save(path)

    @work
    async def action_open(self) -> None:
        asking = OpenFile(tr("config.open_title"), tr("config.open_placeholder"), likely_configs, (".toml",), preset_or_path)
        if path := await self.app.push_screen_wait(asking):
            try:
                self._open(open_document(path))
            except DanluError as error:
                self.notify_error(error)
                return
            self._after_change()

    def _open(self, document: Document) -> None:
        """Go on with another document; what was said of the one before no longer counts."""
        self.app.clear_notifications()
        self._faulty = frozenset()
        self.editing.open(document)

    @work
    async def action_differences(self) -> None:
        if key := await self.app.push_screen_wait(Differences(self.editing)):
            self.stand_on(key)

    def action_toml(self) -> None:
        title = self.editing.name or tr("config.opened")
        self.app.push_screen(TomlView(title, self.editing.document.text, self.editing.base.text))

    # starting

    @work(exclusive=True, group="start")
    async def action_start(self) -> None:
        """Start the run, once what can be checked has been; a key that is wrong is shown, a forecast that does not fit asked about."""
        document = self.editing.document
        self._faulty = frozenset()
        try:
            await self._check(document).wait()
        except Exception as error:  # the worker wraps what the check raised
            self._refuse(error.__cause__ or getattr(error, "error", error))
            return
        run, plan = self.session.run, self.query_one(DerivedPanel).plan
        if run is not None and run.is_alive() and not await self._sure("config.second_run", name=run.name):
            return
        if plan is not None and not plan.fits and not await self._sure(
            "config.too_big", peak=f"{plan.peak_memory_gib:.1f}", available=f"{plan.available_gib:.1f}"
        ):
            return
        self.danlu.start_run(document)

    @work(thread=True, exit_on_error=False, group="check")
    def _check(self, document: Document) -> None:
        from tui.start import check, resolved

        check(resolved(document))

    async def _sure(self, text: str, **values: object) -> bool:
        return bool(await self.app.push_screen_wait(Confirm(tr("config.start_title"), tr(text, **values))))

    # what happens inside

    def _refuse(self, error: BaseException) -> None:
        """Say why, and stand on the key it is about."""
        assert isinstance(error, Exception)
        self.notify_error(error)
        named = next((key for key in INFO if key in str(error)), None)
        key = named or ("model.name" if isinstance(error, ModelError) else "data.path" if isinstance(error, DataError | OSError) else None)
        if key:
            self._faulty = frozenset({key})
            self.stand_on(key)

    def _set(self, key: str, text: str) -> bool:
        try:
            self.editing.set_text(key, text)
        except DanluError:
            self._show_about()
            return False
        self._faulty -= {key}
        self._after_change()
        return True

    def _save(self, path: Path | None) -> None:
        try:
            self.editing.save(path)
        except DanluError as error:
            self.notify_error(error)
            return
        self.say(tr("config.saved", name=str(self.editing.document.path)))
        self._after_change()

    def stand_on(self, key: str) -> None:
        """Move the cursor to a key."""
        self.cursor = key
        self._show()

    def _go_back(self, key: str | None, nothing: str) -> None:
        if key is None:
            self.say(tr(nothing))
            return
        self.cursor = key or self.cursor
        self._after_change()

    def _after_change(self) -> None:
        """Hand the document to the session, draw, and find what follows from it."""
        self.session.document = self.editing.document
        self.session.unsaved = (self.editing.name or tr("config.opened")) if self.editing.is_unsaved else ""
        self._show()
        self.query_one(DerivedPanel).show_document(self.editing.document)

    def _text_to_edit(self) -> str:
        """The value; for a data path that is still empty, the file of the data screen."""
        text = self.editing.document.typed(self.cursor)
        return str(self.session.data_path) if self.cursor == "data.path" and not text and self.session.data_path else text

    def _type(self, mode: str, text: str) -> None:
        self._typed_from = self.cursor
        self._about.type(mode, text)
        self._show()
        self.refresh_bindings()

    def _stop_typing(self) -> None:
        self._about.stop()
        self._show()
        self.refresh_bindings()

    def _search(self, wanted: str) -> None:
        self._found = frozenset(key for key, info in INFO.items() if wanted.strip() and matches(info, wanted))
        order = KEYS[KEYS.index(self._typed_from) :] + KEYS
        self.stand_on(next((key for key in order if key in self._found), self._typed_from))

    # drawing

    def _show(self) -> None:
        glyphs = self.session.glyphs
        form = Form(self.editing, self.cursor, glyphs, self.session.ascii, self._faulty, self._found)
        panel = self.query_one("#form-side", SteadyView)
        name = gate.safe(self.editing.name or tr("config.opened"))
        sign = f" {glyphs.eval} {tr('config.unsaved')}" if self.editing.is_unsaved else ""
        panel.name_border(f"{name}{sign}", tr("config.changed", n=n) if (n := len(self.editing.differences())) else "")
        width, height = panel.content_size
        lines, at = form_lines(form, width)
        if height:
            panel.top = max(at - height + 3 if at - panel.top > height - 3 else min(panel.top, max(0, at - 2)), 0)
        panel.show(lambda now, height: lines if now == width else form_lines(form, now)[0])
        self._show_about()

    def _show_about(self) -> None:
        self._about.show(self.editing, self.cursor, len(self._found))

    @property
    def _about(self) -> AboutPanel:
        return self.query_one(AboutPanel)

"""The composition root of the console: screens by name, global keys, the palette, the theme. It connects; screens do the work."""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import ActiveBinding
from textual.command import CommandPalette
from textual.screen import Screen

from data.errors import DanluError
from engine.config_file import Document
from engine.run_directory import RunDirectory
from tui import crash, gate
from tui.driver import hardened
from tui.frugal import send_only_changes
from tui.keymap import bind, keymap_file, read_keymap
from tui.session import Session
from tui.texts import tr
from tui.theme import FURNACE, FURNACE_LIGHT
from tui.typed_ahead import TypedAhead
from tui.widgets.bars import TABS, key_name, label
from tui.widgets.dialogs import Confirm
from tui.widgets.palette import Palette
from tui.widgets.plain_scroll_bar import draw_scroll_bars

SCREENS = {
    "hardware": "HardwareScreen",
    "data": "DataScreen",
    "config": "ConfigScreen",
    "train": "TrainScreen",
    "runs": "RunsScreen",
    "chat": "ChatScreen",
}
"""Tab name → class in `tui.screens.<tab name>`."""

MOVES = ("down", "up", "page_down", "page_up", "top", "bottom")
"""What keys of moving around are called; nobody looks for them by name."""


class DanluApp(App[None]):
    """`DanluApp(session, start_screen).run()`."""

    CSS_PATH = "danlu.tcss"
    TITLE = "Danlu"
    BINDINGS: ClassVar = [
        *[bind(str(number), f"open('{tab}')", f"common.keys.{tab}", show=False) for number, tab in enumerate(TABS, 1)],
        bind("question_mark", "help", "common.keys.help"),
        bind("q", "leave", "common.keys.quit"),
        bind("ctrl+p", "command_palette", "common.keys.palette", show=False, priority=True),
    ]

    def __init__(self, session: Session, start_screen: str = "runs"):
        self.DEFAULT_MODE = start_screen  # before textual reads it, so that no empty screen is painted first
        super().__init__(driver_class=hardened(self.get_driver_class()))
        send_only_changes()
        self.session = session
        self._typed = TypedAhead(self, super().on_event)
        for tab in TABS:
            self.add_mode(tab, partial(_make_screen, tab))
        self.animation_level = "none"
        self.register_theme(FURNACE)
        self.register_theme(FURNACE_LIGHT)
        wanted = os.environ.get("TEXTUAL_THEME", "")
        self.theme = wanted if wanted in self.available_themes else FURNACE.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that don't know them."""
        return FURNACE.variables

    def run(self, **options) -> None:
        """Run until left. The mouse stays with the terminal over SSH, where selecting text matters more.

        A hang-up ends the console even where the shell ignores it (nohup): without a terminal it would spin at full load.
        """
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        super().run(**{"mouse": "SSH_CONNECTION" not in os.environ} | options)

    def on_mount(self) -> None:
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGINT):  # leave the terminal as it was found
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self.set_class(self.session.ascii, "ascii")
        draw_scroll_bars(self.session.ascii)
        try:
            self.set_keymap(read_keymap(keymap_file()))
        except DanluError as error:
            self.notify(gate.safe(str(error)), severity="error", markup=False)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._typed.take(event)
        else:
            await super().on_event(event)

    def action_open(self, tab: str) -> None:
        """Show the screen `tab`, imported and made when it is first asked for."""
        try:
            importlib.import_module(f"tui.screens.{tab}")
        except ModuleNotFoundError as error:
            self.notify(tr("common.no_screen", name=tr(f"common.tab.{tab}"), reason=str(error)), severity="error", markup=False)
            return
        self.switch_mode(tab)

    def edit_config(self, document: Document) -> None:
        """Edit `document` on the configuration screen."""
        self.session.document = document
        self.action_open("config")

    def attach(self, run: RunDirectory, just_launched: bool = False) -> None:
        """Follow `run` on the training screen. just_launched: its engine may need a moment to show itself."""
        self.session.run, self.session.is_launching = run, just_launched
        if self.current_mode == "train":
            self.screen.post_message(events.ScreenResume())  # as coming from another screen would
        self.action_open("train")

    def chat(self, run: RunDirectory) -> None:
        """Ask the model of `run` on the chat screen."""
        self.session.chat_run = run
        if self.current_mode == "chat":
            self.screen.post_message(events.ScreenResume())  # as coming from another screen would
        self.action_open("chat")

    def start_run(self, document: Document) -> None:
        """Start an engine for `document` and attach to it; what goes wrong is shown, and nothing is left half started."""
        from tui.start import start_run

        self._launch(lambda: start_run(document, runs_dir=self.session.output_dir))

    def resume_run(self, run: RunDirectory, sets: Sequence[str] = ()) -> None:
        """Start an engine that goes on where `run` was left, and attach to it. sets: KEY=VALUE of what is to be otherwise."""
        from tui.start import resume_run

        def go_on() -> RunDirectory:
            resume_run(run, sets)
            return run

        self._launch(go_on)

    @work(thread=True, exclusive=True, group="launch")
    def _launch(self, launch: Callable[[], RunDirectory]) -> None:
        self.call_from_thread(self.notify, tr("common.launching"))
        try:
            run = launch()
        except (DanluError, OSError) as error:
            self.call_from_thread(self.notify, gate.safe_lines(str(error)), severity="error", timeout=15, markup=False)
            return
        self.call_from_thread(self.attach, run, True)

    def action_help(self) -> None:
        """Every key that does something here."""
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    @work
    async def action_leave(self) -> None:
        """Close the console; a run goes on, and the command line says how to come back to it. Unsaved changes are asked about."""
        name = self.session.unsaved
        if not name or await self.push_screen_wait(Confirm(tr("config.leave_title"), tr("config.leave_text", name=name))):
            self.exit()

    def _fatal_error(self) -> None:
        """A defect ends the console with one sentence; textual would print the local values, outside text among them."""
        error = sys.exc_info()[1] or self._exception or RuntimeError("unknown")
        self._exit_renderables.append(Text(f"danlu: {crash.tell(error)}"))
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """Our screens and what can be done on this one, in the user's language."""
        for number, tab in enumerate(TABS, 1):
            yield SystemCommand(f"{number} {tr(f'common.tab.{tab}')}", "", lambda tab=tab: self.action_open(tab))
        actions: dict[str, list[ActiveBinding]] = {}
        for active in screen.active_bindings.values():
            namespace, _, what = active.binding.description.rpartition(".")
            if namespace and what not in MOVES and active.node is not self:
                actions.setdefault(active.binding.description, []).append(active)
        for keys in actions.values():
            names = " ".join(dict.fromkeys(key_name(active.binding, self.session.ascii) for active in keys))
            yield SystemCommand(label(keys[0].binding), names, lambda first=keys[0]: self._act(first))
        yield SystemCommand(tr("common.keys.help"), "?", self.action_help)
        yield SystemCommand(tr("common.keys.mouse"), "", self.action_toggle_mouse)
        yield SystemCommand(tr("common.keys.quit"), "q", self.action_leave)

    def action_toggle_mouse(self) -> None:
        """Take the mouse, or give it back to the terminal."""
        driver = self._driver
        if driver is None:
            return
        on = not getattr(driver, "_mouse", False)
        driver._mouse = on
        getattr(driver, "_enable_mouse_support" if on else "_disable_mouse_support", lambda: None)()
        self.notify(tr("common.mouse.on" if on else "common.mouse.off"))

    def action_command_palette(self) -> None:
        """Whatever can be done here, by name."""
        if not CommandPalette.is_open(self):
            self.push_screen(Palette())

    async def _act(self, active) -> None:
        await self.run_action(active.binding.action, active.node)


def _make_screen(tab: str) -> Screen:
    return getattr(importlib.import_module(f"tui.screens.{tab}"), SCREENS[tab])()

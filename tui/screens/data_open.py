"""The question which data file to open: a path with completion, the configured file, the bundled set, the files used last."""

import os
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config_file import BUNDLED_DATA
from tui import gate
from tui.keymap import bind
from tui.texts import tr

SUFFIXES = (".json", ".jsonl", ".ndjson")
KEPT = 8
SHOWN = 12


class OpenData(ModalScreen[Path | None]):
    """Dismissed with the path to open, or None. What is there and usable is for the reader to say."""

    BINDINGS: ClassVar = [
        bind("escape", "cancel", "common.keys.cancel"),
        bind("tab", "complete", "data.keys.complete", priority=True),
        bind("down", "into_list", "data.keys.down", show=False),
    ]
    CSS = """
    OpenData { align: center middle; background: $background 60%; }
    OpenData > Vertical {
        width: 84; max-width: 96%; height: auto; max-height: 90%; background: $surface; border: round $primary; padding: 1 2 0 2;
    }
    OpenData OptionList { border: none; background: $surface; padding: 0; max-height: 14; margin-top: 1; }
    OpenData .keys { color: $text-muted; margin-top: 1; }
    """

    def __init__(self, configured: Path | None):
        super().__init__()
        self._configured = configured
        self._offered: list[Path] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = tr("data.open_title")
            field = Input(placeholder=tr("data.open_placeholder"))
            field.cursor_blink = False
            yield field
            yield OptionList()
            yield Static(tr("data.open_keys"), classes="keys", markup=False)

    def on_mount(self) -> None:
        self._offer("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._offer(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(Path(event.value.strip()).expanduser())
        elif self._offered:
            self.dismiss(self._offered[0])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        chosen = self._offered[event.option_index]
        if chosen.is_dir():
            self._type(f"{chosen}{os.sep}")
        else:
            self.dismiss(chosen)

    def on_key(self, event: events.Key) -> None:
        """Up from the first choice goes back to the path."""
        options = self.query_one(OptionList)
        if event.key == "up" and options.has_focus and not options.highlighted:
            self.query_one(Input).focus()
            event.stop()

    def action_into_list(self) -> None:
        options = self.query_one(OptionList)
        if self._offered and not options.has_focus:
            options.highlighted = 0
            options.focus()

    def action_complete(self) -> None:
        """The longest beginning that all matching names share; a single folder is entered."""
        typed = self.query_one(Input).value
        names = [str(path) + (os.sep if path.is_dir() else "") for path in matching(typed)]
        if common := os.path.commonprefix(names):  # noqa: RUF071 - half a name is what completion gives
            self._type(common)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _type(self, text: str) -> None:
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)
        field.focus()

    def _offer(self, typed: str) -> None:
        """Under an empty path what is likely wanted, else what its beginning matches."""
        choices = [(path, "") for path in matching(typed)[:SHOWN]] if typed else self._likely()
        self._offered = [path for path, _ in choices]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._line(path, note)) for path, note in choices])

    def _likely(self) -> list[tuple[Path, str]]:
        found: dict[Path, str] = {}
        if self._configured is not None:
            found[self._configured] = tr("data.open_configured")
        if BUNDLED_DATA.is_file():
            found.setdefault(BUNDLED_DATA, tr("data.open_bundled"))
        for path in recent_files():
            found.setdefault(path, tr("data.open_recent"))
        for path in matching(""):
            if path.is_file():
                found.setdefault(path, "")
        return list(found.items())[:SHOWN]

    def _line(self, path: Path, note: str) -> Content:
        text = gate.safe(_short(path)) + (os.sep if path.is_dir() else "")
        room = max(self.app.size.width * 96 // 100, 20)
        return Content.assemble((_clip_left(text, min(room, 84) - 8 - gate.cells(note)), ""), "  ", (note, "$text-muted"))


def matching(typed: str) -> list[Path]:
    """Folders and data files whose path begins as typed, folders last; hidden ones only when a dot was typed."""
    expanded = os.path.expanduser(typed)
    folder, _, start = expanded.rpartition(os.sep)
    base = Path(folder + os.sep) if os.sep in expanded else Path(".")
    try:
        entries = [entry for entry in base.iterdir() if entry.name.startswith(start) and (start or not entry.name.startswith("."))]
    except OSError:
        return []
    wanted = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in SUFFIXES]
    return sorted(wanted, key=lambda entry: (entry.is_dir(), entry.name))


def recent_files() -> list[Path]:
    """The data files opened last, latest first, those that are gone left out."""
    try:
        lines = _recent_list().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [path for line in lines if line and (path := Path(line)).is_file()]


def remember(path: Path) -> None:
    """Put `path` at the head of the files opened last. A list that cannot be written is no reason to trouble anyone."""
    if path.resolve() == BUNDLED_DATA:
        return
    lines = dict.fromkeys(map(str, [path.resolve(), *recent_files()]))
    try:
        _recent_list().parent.mkdir(parents=True, exist_ok=True)
        _recent_list().write_text("\n".join(list(lines)[:KEPT]) + "\n", encoding="utf-8")
    except (OSError, UnicodeEncodeError):
        return


def _recent_list() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "danlu" / "recent_data"


def _short(path: Path) -> str:
    """Relative to here where that is shorter, else with ~ for the home folder."""
    text = os.path.relpath(path) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
    home = str(Path.home())
    return "~" + text[len(home) :] if text.startswith(home + os.sep) else text


def _clip_left(text: str, width: int) -> str:
    """The end of a path, which tells files apart."""
    if gate.cells(text) <= width:
        return text
    while gate.cells(text) > width - 1 and text:
        text = text[1:]
    return "…" + text

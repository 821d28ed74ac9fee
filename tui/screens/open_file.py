"""The question which file to open: likely ones by their name, any other by its path with completion."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui import gate
from tui.keymap import bind
from tui.paths import readable
from tui.texts import tr
from tui.widgets.plain_input import PlainInput

SHOWN = 20


class OpenFile(ModalScreen[Path | None]):
    """Dismissed with the path to open, or None. What is there and usable is for the reader to say."""

    BINDINGS: ClassVar = [
        bind("escape", "dismiss(None)", "common.keys.cancel"),
        bind("tab", "complete", "common.keys.complete", priority=True),
        bind("down", "into_list", "common.keys.list", show=False),
    ]
    CSS = """
    OpenFile { align: center middle; background: $background 60%; }
    OpenFile > Vertical {
        width: 100; max-width: 96%; height: auto; max-height: 92%; background: $surface; border: round $primary; padding: 0 1;
    }
    OpenFile OptionList { border: none; background: $surface; padding: 0; max-height: 20; margin-top: 1; }
    OpenFile Static { text-wrap: nowrap; text-overflow: ellipsis; color: $text-muted; margin-top: 1; }
    """

    def __init__(self, title: str, placeholder: str, likely: Callable[[], Sequence[tuple[Path, str]]], suffixes: Sequence[str],
                 named: Callable[[Path], str] = readable):  # fmt: skip
        """likely: files worth offering, each with what it is; may hold outside text.  suffixes: of the files that completion offers.
        named: what a file is called in the list."""
        super().__init__()
        self._title, self._placeholder, self._suffixes = title, placeholder, tuple(suffixes)
        self._named, self._likely = named, list(likely())
        self._offered: list[Path] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield PlainInput(placeholder=self._placeholder)
            yield OptionList()
            yield Static(tr("common.open_keys"), markup=False)

    def on_mount(self) -> None:
        self._offer("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._offer(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A file that is typed out; else what is highlighted; else what was typed, for the reader to say what is wrong with it."""
        typed = event.value.strip()
        path = Path(os.path.expanduser(typed))
        if typed and (os.path.isfile(path) or not self._offered):
            self.dismiss(path)
        elif self._offered:
            self._take(self._offered[self.query_one(OptionList).highlighted or 0])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._take(self._offered[event.option_index])

    def on_key(self, event: events.Key) -> None:
        """Up from the first choice goes back to the path."""
        options = self.query_one(OptionList)
        if event.key == "up" and options.has_focus and not options.highlighted:
            self.query_one(Input).focus()
            event.stop()

    def action_into_list(self) -> None:
        if self._offered:
            self.query_one(OptionList).focus()

    def action_complete(self) -> None:
        """The longest beginning that all matching names share; a single folder is entered."""
        names = [str(path) + (os.sep if path.is_dir() else "") for path in matching(self.query_one(Input).value, self._suffixes)]
        if common := os.path.commonprefix(names):  # noqa: RUF071 - half a name is what completion gives
            self._type(common)

    def _take(self, path: Path) -> None:
        """Enter a folder, or be done with a file."""
        if path.is_dir():
            self._type(f"{path}{os.sep}")
        else:
            self.dismiss(path)

    def _type(self, text: str) -> None:
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(field.value)
        field.focus()

    def _offer(self, typed: str) -> None:
        """Likely files whose name holds what was typed, then what lies where it leads to."""
        notes = {path: note for path, note in self._likely if typed.lower() in path.name.lower()}
        if typed:
            notes |= {path: "" for path in matching(typed, self._suffixes) if path not in notes}
        self._offered = list(notes)[:SHOWN]
        options = self.query_one(OptionList)
        options.clear_options()
        names = {path: self._named(path) + (os.sep if path.is_dir() else "") for path in self._offered}
        column = max(map(gate.cells, names.values()), default=0)
        options.add_options([Option(self._line(names[path], notes[path], column)) for path in self._offered])
        options.highlighted = 0 if self._offered else None

    def _line(self, name: str, note: str, column: int) -> Content:
        """column: cells of the longest name."""
        room = max(20, min(96, self.app.size.width * 96 // 100 - 4))
        if not note:
            return Content(gate.clip_start(name, room))
        column = min(column, room * 2 // 3)
        shown = gate.pad(gate.clip_start(name, column), column)
        return Content.assemble((shown, "bold"), " ", (gate.clip(gate.safe(note), room - gate.cells(shown) - 1), "$text-muted"))


def matching(typed: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Folders and files of the wanted kinds whose path begins as typed, folders last; hidden ones only when a dot was typed."""
    expanded = os.path.expanduser(typed)
    folder, _, start = expanded.rpartition(os.sep)
    base = Path(folder + os.sep) if os.sep in expanded else Path(".")
    try:
        entries = [entry for entry in base.iterdir() if entry.name.startswith(start) and (start or not entry.name.startswith("."))]
        wanted = [entry for entry in entries if entry.is_dir() or entry.suffix.lower() in suffixes]
    except (OSError, ValueError):
        return []
    return sorted(wanted, key=lambda entry: (entry.is_dir(), entry.name))

"""What the configuration screen opens over itself: the file as TOML, the differences, and the choice of another file."""

import os
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config import FieldInfo
from engine.config_file import presets
from tui import gate
from tui.keymap import bind
from tui.screens.config_editing import Editing
from tui.texts import tr

BOX = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > * {{ width: 100; max-width: 96%; height: auto; max-height: 92%; background: $surface; border: round $primary; padding: 0 1; }}
{name} OptionList {{ border: none; background: $surface; padding: 0; max-height: 20; margin-top: 1; }}
.ascii {name} > * {{ border: ascii $primary; }}
{name} Static {{ text-wrap: nowrap; text-overflow: ellipsis; }}
{name} .keys {{ color: $text-muted; margin-top: 1; }}
"""


class TomlView(ModalScreen[None]):
    """The document as it would be saved: comments dim, headings and changed lines marked."""

    BINDINGS: ClassVar = [
        bind("escape,q,T", "dismiss", "config.keys.close"),
        bind("j", "move(1)", "config.keys.down", show=False),
        bind("k", "move(-1)", "config.keys.up", show=False),
    ]
    CSS = BOX.format(name="TomlView")

    def __init__(self, title: str, text: str, before: str):
        """before: the same file as it was opened; lines that are not in it get a sign."""
        super().__init__()
        self._title, self._text, self._before = title, text, set(before.splitlines())

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(gate.safe(self._title))
            yield Static(Content("\n").join([self._line(line) for line in self._text.splitlines()]), markup=False)

    def action_move(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _line(self, line: str) -> Content:
        sign = Content.styled("* ", "bold $primary") if line not in self._before else Content("  ")
        if line.lstrip().startswith("["):
            return sign + Content.styled(gate.safe(line), "bold $primary")
        code, mark, comment = line.partition("#") if "=" not in line or line.lstrip().startswith("#") else _split_comment(line)
        return sign + Content.assemble(gate.safe(code), (gate.safe(mark + comment), "$text-muted"))


class Differences(ModalScreen[str | None]):
    """Keys whose values are others than the preset's; dismissed with the one chosen."""

    BINDINGS: ClassVar = [
        bind("escape,q,D", "dismiss(None)", "config.keys.close"),
        bind("j", "move(1)", "config.keys.down", show=False),
        bind("k", "move(-1)", "config.keys.up", show=False),
    ]
    CSS = BOX.format(name="Differences")

    def __init__(self, editing: Editing):
        super().__init__()
        self._editing, self._fields = editing, editing.differences()

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            name = self._editing.base.path.name if self._editing.base.path else tr("config.opened")
            box.border_title = Content(tr("config.differences", name=gate.safe(name)))
            if self._fields:
                yield OptionList(*[Option(self._line(field)) for field in self._fields])
            else:
                yield Static(tr("config.no_differences"), markup=False)
            yield Static(tr("config.differences_keys"), classes="keys", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._fields[event.option_index].key)

    def action_move(self, rows: int) -> None:
        for options in self.query(OptionList):
            options.action_cursor_down() if rows > 0 else options.action_cursor_up()

    def _line(self, field: FieldInfo) -> Content:
        before, now = (gate.safe(d.typed(field.key)) or tr("config.unset") for d in (self._editing.base, self._editing.document))
        room = max(10, min(94, self.app.size.width * 96 // 100 - 8) - 34)
        arrow = "->" if self.app.has_class("ascii") else "→"
        half = room // 2 - 2
        was, now = gate.clip(before, half), gate.clip(now, half)
        return Content.assemble((gate.pad(field.key, 34), "bold"), (was, "$text-muted"), f" {arrow} ", now)


class OpenConfig(ModalScreen[Path | None]):
    """Dismissed with a preset or a file: chosen from the list with the arrows, or typed as a path."""

    BINDINGS: ClassVar = [bind("escape", "dismiss(None)", "common.keys.cancel"), bind("down", "into_list", "config.keys.down", show=False)]
    CSS = BOX.format(name="OpenConfig")

    def __init__(self) -> None:
        super().__init__()
        self._offered: list[Path] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = tr("config.open_title")
            field = Input(placeholder=tr("config.open_placeholder"))
            field.cursor_blink = False
            yield field
            yield OptionList()
            yield Static(tr("config.open_keys"), classes="keys", markup=False)

    def on_mount(self) -> None:
        self._offer("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._offer(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        typed = Path(os.path.expanduser(event.value.strip()))
        if event.value.strip() and (os.path.isfile(typed) or not self._offered):
            self.dismiss(typed)
        elif self._offered:
            self.dismiss(self._offered[self.query_one(OptionList).highlighted or 0])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._offered[event.option_index])

    def on_key(self, event: events.Key) -> None:
        """Up from the first choice goes back to the path."""
        options = self.query_one(OptionList)
        if event.key == "up" and options.has_focus and not options.highlighted:
            self.query_one(Input).focus()
            event.stop()

    def action_into_list(self) -> None:
        if self._offered:
            self.query_one(OptionList).focus()

    def _offer(self, typed: str) -> None:
        """Presets and the configurations here whose name or path holds what was typed."""
        here = sorted(Path(".").glob("*.toml"))
        likely = [*presets(), *(path for path in here if path.name not in ("pyproject.toml", "keys.toml"))]
        self._offered = [path for path in likely if typed.lower() in str(path.name).lower()]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._line(path)) for path in self._offered])
        options.highlighted = 0 if self._offered else None

    def _line(self, path: Path) -> Content:
        about = _first_comment(path)
        room = max(10, min(94, self.app.size.width * 96 // 100 - 8) - 24)
        return Content.assemble((gate.pad(gate.safe(path.name.removesuffix(".toml")), 24), "bold"), (gate.clip(about, room), "$text-muted"))


def _first_comment(path: Path) -> str:
    try:
        line = next(iter(path.read_text(encoding="utf-8").splitlines()), "")
    except (OSError, UnicodeDecodeError):
        return ""
    return gate.safe(line.lstrip("# ")) if line.startswith("#") else ""


def _split_comment(line: str) -> tuple[str, str, str]:
    """A line of code and the comment behind it; a # inside quotes is none."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[:place], "#", line[place + 1 :]
    return line, "", ""

"""What the configuration screen opens over itself: the file as TOML, the differences; and what it offers to open."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.config import FieldInfo
from engine.config_file import presets
from tui import gate
from tui.keymap import bind
from tui.screens.config_editing import Editing
from tui.texts import language, tr

BOX = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > * {{ width: 100; max-width: 96%; height: auto; max-height: 92%; background: $surface; border: round $primary; padding: 0 1; }}
{name} OptionList {{ border: none; background: $surface; padding: 0; max-height: 20; margin-top: 1; }}
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


def likely_configs() -> list[tuple[Path, str]]:
    """Presets, and the configurations here with what their first line says."""
    here = [path for path in sorted(Path(".").glob("*.toml")) if path.name not in ("pyproject.toml", "keys.toml")]
    return [*((path, _about(path)) for path in presets()), *((path, _first_comment(path)) for path in here)]


def _about(preset: Path) -> str:
    """In the user's language; in English it is the file's own first line."""
    return _first_comment(preset) if language() == "en" else tr(f"config.preset.{preset.stem}")


def _first_comment(path: Path) -> str:
    try:
        line = next(iter(path.read_text(encoding="utf-8").splitlines()), "")
    except (OSError, UnicodeDecodeError):
        return ""
    return line.lstrip("# ") if line.startswith("#") else ""


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

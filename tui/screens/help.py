"""`?`: every key that does something on the screen below, with what it does, made from the bindings themselves."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui import gate
from tui.keymap import bind, keymap_file
from tui.texts import has, tr
from tui.widgets.bars import key_name, label
from tui.widgets.lines import wrap

WIDTH = 72
BESIDE = 8
"""Cells of border, padding and scroll bar."""
LEAST = 14
"""Cells of the column of keys, where no key has a longer name."""


class HelpScreen(ModalScreen[None]):
    """A list of keys; any of ?, q, esc closes it."""

    BINDINGS: ClassVar = [bind("question_mark,q,escape", "dismiss", "help.keys.close")]
    CSS = f"""
    HelpScreen {{ align: center middle; background: $background 60%; }}
    HelpScreen > VerticalScroll {{
        width: {WIDTH}; max-width: 96%; height: auto; max-height: 90%; background: $surface; border: round $primary; padding: 1 2;
    }}
    """

    def __init__(self, below: Screen):
        super().__init__()
        self._below = below

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = tr("help.title")
            yield Static(self._text(min(WIDTH, self.app.size.width * 96 // 100) - BESIDE), markup=False)

    def _text(self, width: int) -> Content:
        groups: dict[str, dict[str, tuple[list[str], str]]] = {}
        for active in self._below.active_bindings.values():
            binding = active.binding
            if "." not in binding.description:
                continue
            group = groups.setdefault("common" if active.node is self.app else "screen", {})
            keys = group.setdefault(binding.description, ([], label(binding)))[0]
            if (name := key_name(binding, self.app.has_class("ascii"))) not in keys:
                keys.append(name)
        column = max(LEAST, *(gate.cells(" ".join(keys)) + 4 for group in groups.values() for keys, _ in group.values()))
        lines = []
        for name in ("screen", "common"):
            lines.append(Content.styled(tr(f"help.group.{name}"), "bold $primary"))
            for description, (keys, text) in groups.get(name, {}).items():
                more = f"{description}_help"
                about = f"{text} {tr(more)}" if has(more) else text
                row = [(gate.pad("  " + " ".join(keys), column), "bold"), (about, "")]
                lines += [Content.assemble(*line) for line in wrap(row, width, " " * column)]
            lines.append(Content(""))
        lines.append(Content.styled(tr("help.keymap", path=gate.safe(str(keymap_file()))), "$text-muted"))
        return Content("\n").join(lines)

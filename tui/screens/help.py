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


class HelpScreen(ModalScreen[None]):
    """A list of keys; any of ?, q, esc closes it."""

    BINDINGS: ClassVar = [bind("question_mark,q,escape", "dismiss", "help.keys.close")]
    CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 72; max-width: 96%; height: auto; max-height: 90%; background: $surface; border: round $primary; padding: 1 2;
    }
    """

    def __init__(self, below: Screen):
        super().__init__()
        self._below = below

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = tr("help.title")
            yield Static(self._text(), markup=False)

    def _text(self) -> Content:
        groups: dict[str, dict[str, tuple[list[str], str]]] = {}
        for active in self._below.active_bindings.values():
            binding = active.binding
            if "." not in binding.description:
                continue
            group = groups.setdefault("common" if active.node is self.app else "screen", {})
            group.setdefault(binding.description, ([], ""))[0].append(key_name(binding))
            group[binding.description] = (group[binding.description][0], label(binding))
        lines = []
        for name in ("screen", "common"):
            lines.append(Content.styled(tr(f"help.group.{name}"), "bold $primary"))
            for description, (keys, text) in groups.get(name, {}).items():
                more = f"{description}_help"
                about = f"{text} {tr(more)}" if has(more) else text
                lines.append(Content.assemble(("  " + gate.pad(" ".join(keys), 12), "bold"), about))
            lines.append(Content(""))
        lines.append(Content.styled(tr("help.keymap", path=gate.safe(str(keymap_file()))), "$text-muted"))
        return Content("\n").join(lines)

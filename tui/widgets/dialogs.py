"""The two questions a screen may ask: yes or no, and one line of text. Both close with esc."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui import gate
from tui.keymap import bind
from tui.texts import tr
from tui.widgets.plain_input import PlainInput

BOX = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > Vertical {{ width: 64; max-width: 94%; height: auto; background: $surface; border: round $primary; padding: 1 2; }}
{name} .keys {{ margin-top: 1; color: $text-muted; }}
"""


class Confirm(ModalScreen[bool]):
    """Dismissed with whether the answer was `y`. Enter means nothing here, so a stray key stops no run."""

    BINDINGS: ClassVar = [bind("y", "answer(True)", "common.keys.yes"), bind("n,escape,q", "answer(False)", "common.keys.no")]
    CSS = BOX.format(name="Confirm")

    def __init__(self, title: str, text: str):
        """title, text: in the user's language; may hold outside text."""
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(gate.safe(self._title))
            yield Static(gate.styled(self._text), markup=False)
            yield Static(_keys(("y", tr("common.keys.yes")), ("n", tr("common.keys.no"))), classes="keys", markup=False)

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """Dismissed with the line that was typed, or None when it was cancelled."""

    BINDINGS: ClassVar = [bind("escape", "cancel", "common.keys.cancel")]
    CSS = BOX.format(name="Ask")

    def __init__(self, title: str, text: str = "", value: str = "", placeholder: str = ""):
        super().__init__()
        self._title, self._text, self._value, self._placeholder = title, text, value, placeholder

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(gate.safe(self._title))
            if self._text:
                yield Static(gate.styled(self._text), markup=False)
            yield PlainInput(self._value, self._placeholder)
            keys = _keys((tr("common.keys.enter"), tr("common.keys.accept")), ("esc", tr("common.keys.cancel")))
            yield Static(keys, classes="keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _keys(*pairs: tuple[str, str]) -> Content:
    return Content("   ").join([Content.assemble((key, "bold $primary"), f" {name}") for key, name in pairs])

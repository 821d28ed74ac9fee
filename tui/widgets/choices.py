"""A list of choices over the screen: arrows or j/k, enter takes one, esc none; typing is not needed. One of `Option`s' ids comes back."""

from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui import gate
from tui.keymap import bind
from tui.widgets.lines import wrap


class Choice(NamedTuple):
    """value: given back.  text: shown, may hold outside text.  note: dim, at the right."""

    value: object
    text: str
    note: str = ""


class Choices(ModalScreen[object]):
    """Dismissed with the value of the choice taken, or None."""

    BINDINGS: ClassVar = [
        bind("escape,q,f", "cancel", "common.keys.cancel"),
        bind("j", "cursor(1)", "data.keys.down", show=False),
        bind("k", "cursor(-1)", "data.keys.up", show=False),
    ]
    CSS = """
    Choices { align: center middle; background: $background 60%; }
    Choices > Vertical {
        width: 56; max-width: 94%; height: auto; max-height: 90%; background: $surface; border: round $primary; padding: 0 1;
    }
    Choices.wide > Vertical { width: 96; }
    Choices OptionList { border: none; background: $surface; padding: 0; max-height: 28; }
    """
    WIDTH = 48

    def __init__(self, title: str, choices: list[Choice], current: object = None, wide: bool = False, whole: bool = False):
        """wide: as wide as the screen allows, for notes that are texts; they then stand at the left.  whole: under the choice, uncut."""
        super().__init__()
        self._title, self._choices, self._current, self._whole = title, choices, current, whole
        self.set_class(wide or whole, "wide")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(gate.safe(self._title))
            yield OptionList(*[Option(self._line(choice)) for choice in self._choices])

    def on_mount(self) -> None:
        places = [number for number, choice in enumerate(self._choices) if choice.value == self._current]
        self.query_one(OptionList).highlighted = places[0] if places else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index].value)

    def action_cursor(self, rows: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if rows > 0 else options.action_cursor_up()

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _line(self, choice: Choice) -> Content:
        text = gate.safe(choice.text)
        if self.has_class("wide"):
            room = min(92, self.app.size.width * 94 // 100 - 4)
            if self._whole:
                under = wrap([(choice.note, "$text-muted")], room - 3) if choice.note else []
                return Content.assemble(gate.clip(text, room - 1), *(part for line in under for part in ("\n  ", *line)))
            column = min(max(gate.cells(gate.safe(one.text)) for one in self._choices), room // 2)
            shown = gate.pad(gate.clip_start(text, column), column)
            return Content.assemble(shown, " ", (gate.clip(choice.note, room - column - 1), "$text-muted"))
        room = self.WIDTH - gate.cells(choice.note) - 1
        return Content.assemble(gate.pad(text, room), " ", (choice.note, "$text-muted"))

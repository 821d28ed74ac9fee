"""The one-line field for questions: enter sends, up and down bring earlier questions back, esc leaves it for the keys of the screen.

Line ends of a text that is pasted stand in it as ⟨U+000A⟩, as in the other fields.
"""

from typing import ClassVar

from textual import events
from textual.message import Message

from tui import gate
from tui.keymap import bind
from tui.widgets.plain_input import PlainInput


class QuestionField(PlainInput):
    """Remembers what was sent."""

    BINDINGS: ClassVar = [
        bind("enter", "submit", "chat.keys.send"),
        bind("escape", "to_keys", "chat.keys.to_keys"),
        bind("up", "recall(-1)", "chat.keys.earlier"),
        bind("down", "recall(1)", "chat.keys.later", show=False),
    ]

    class Left(Message):
        """The keys are to be the screen's again."""

    def __init__(self, placeholder: str, **options):
        super().__init__(placeholder=placeholder, **options)
        self._sent: list[str] = []
        self._at = 0
        self._draft = ""
        """What was being typed before earlier questions were looked at."""

    @property
    def question(self) -> str:
        """What stands in the field, its line ends real ones."""
        return gate.unescaped(self.value).strip()

    def on_paste(self, event: events.Paste) -> None:
        """The whole text, where textual's own field would take the first line."""
        event.prevent_default()
        event.stop()
        text = "\n".join(event.text.splitlines()).strip("\n")
        self.replace(gate.escaped_line(text), *self.selection)

    def remember(self) -> None:
        """The question was sent: the field is empty again."""
        question = self.value.strip()
        self._sent = [*(one for one in self._sent if one != question), question]
        self._at = len(self._sent)
        self.value = self._draft = ""

    def action_recall(self, questions: int) -> None:
        """An earlier (negative) or later question; after the last what was being typed."""
        if self._at == len(self._sent):
            self._draft = self.value
        self._at = min(max(0, self._at + questions), len(self._sent))
        self.value = self._sent[self._at] if self._at < len(self._sent) else self._draft
        self.cursor_position = len(self.value)

    def action_to_keys(self) -> None:
        self.post_message(self.Left())

"""The field for a text to search for, one line that is there only while it is typed into."""

from typing import ClassVar

from textual.message import Message
from textual.widgets import Input

from tui.keymap import bind
from tui.widgets.plain_input import PlainInput


class SearchBar(PlainInput):
    """Enter and esc put it away; what was searched for stays."""

    BINDINGS: ClassVar = [bind("escape", "leave", "common.keys.done", show=False)]
    DEFAULT_CSS = """
    SearchBar { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    SearchBar:focus { border: none; }
    SearchBar.open { display: block; }
    """

    class Sought(Message):
        """The text to be searched for now."""

        def __init__(self, needle: str):
            super().__init__()
            self.needle = needle

    class Left(Message):
        """The field was put away."""

    def open(self) -> None:
        self.add_class("open")
        self.focus()

    def close(self, needle: str) -> None:
        """Put the field away, `needle` in it for the next time."""
        with self.prevent(Input.Changed):
            self.value = needle
        self.remove_class("open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Sought(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        self.close(self.value)
        self.post_message(self.Left())

"""A text changed in an editor over the screen: arrows move, esc ends. Control characters stand as ⟨U+001B⟩ and come back as they were."""

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea
from textual.widgets.text_area import Edit, EditResult

from tui import gate
from tui.keymap import bind
from tui.texts import tr
from tui.widgets.choices import Choice, Choices


class SafeTextArea(TextArea):
    """A `TextArea` into which nothing gets, by typing or by pasting, that a terminal must not see."""

    def edit(self, edit: Edit) -> EditResult:
        edit.text = gate.with_codes(edit.text.replace("\r\n", "\n").replace("\r", "\n"))
        return super().edit(edit)


class TextEditor(ModalScreen[str | None]):
    """Dismissed with the new text, or None when it is to stay as it was."""

    BINDINGS: ClassVar = [bind("escape", "finish", "common.keys.done")]
    CSS = """
    TextEditor { align: center middle; background: $background 60%; }
    TextEditor > Vertical { width: 96%; height: 92%; background: $surface; border: round $primary; padding: 0 1; }
    TextEditor TextArea { height: 1fr; border: none; padding: 0; background: $surface; }
    TextEditor .keys { color: $text-muted; }
    """

    def __init__(self, title: str, before: str, note: Callable[[str], None], draft: str | None = None):
        """note: called with the text after every change of it.  draft: the text to begin with, where it is not `before`."""
        super().__init__()
        self._title, self._before, self._note = title, before, note
        self._start = before if draft is None else draft

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(gate.safe(self._title))
            area = SafeTextArea(gate.escaped(self._start), soft_wrap=True, show_line_numbers=False)
            area.cursor_blink = False
            yield area
            yield Static(tr("data.editor_keys"), classes="keys", markup=False)

    @property
    def text(self) -> str:
        return gate.unescaped(self.query_one(SafeTextArea).text)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        self._note(self.text)

    @work
    async def action_finish(self) -> None:
        """Ask what is to become of a changed text."""
        if self.text == self._before:
            self.dismiss(None)
            return
        choices = [Choice("keep", tr("data.editor_keep")), Choice("drop", tr("data.editor_drop")), Choice("on", tr("data.editor_on"))]
        answer = await self.app.push_screen_wait(Choices(tr("data.editor_ask"), choices))
        if answer in ("keep", "drop"):
            self.dismiss(self.text if answer == "keep" else None)

"""The two panels around the form: what is typed and what a key is about, and what follows from the values.

They draw, and the second finds its facts in a worker; what a value means is the screen's and `engine.config_file`'s.
"""

import os

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input
from textual.worker import get_current_worker

from engine.config_file import Document
from engine.plan import RunPlan
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.config_about import about_lines, allowed_text, value_text
from tui.screens.config_derived import derived_lines
from tui.screens.config_editing import Editing, value
from tui.screens.config_facts import FactFinder, Facts
from tui.screens.config_form import INFO, START
from tui.texts import tr
from tui.widgets.lines import Line, wrap
from tui.widgets.plain_input import PlainInput
from tui.widgets.steady import SteadyView


class AboutPanel(Vertical):
    """The key under the cursor; a field opens in it to type a value ("edit") or a search ("search")."""

    class Typed(Message):
        """The field holds another text."""

        def __init__(self, text: str):
            super().__init__()
            self.text = text

    class Entered(Typed):
        """Enter was pressed in the field."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self.mode = ""
        """What is being typed: "edit", "search" or "" for nothing."""

    def compose(self) -> ComposeResult:
        field = PlainInput()
        field.can_focus = False
        yield field
        yield SteadyView()

    def type(self, mode: str, text: str) -> None:
        """Open the field with `text` in it, control characters as codes."""
        self.mode = mode
        field = self.query_one(Input)
        field.can_focus, field.value = True, gate.escaped_line(text)
        field.cursor_position = len(field.value)
        self.add_class("typing")
        self.border_subtitle = Content(tr(f"config.typing_{mode}"))
        field.focus()

    def stop(self) -> None:
        """Close the field."""
        self.mode = ""
        self.screen.set_focus(None)
        self.query_one(Input).can_focus = False
        self.remove_class("typing")
        self.border_subtitle = ""

    def show(self, editing: Editing, key: str, num_found: int) -> None:
        """Be about `key`; num_found: of a search."""
        title = tr("config.search_title") if self.mode == "search" else tr("config.start_row") if key == START else key
        self.border_title = Content(title)
        self.query_one(SteadyView).show(lambda width, height: self.lines(editing, key, num_found, width))

    def lines(self, editing: Editing, key: str, num_found: int, width: int) -> list[Line]:
        """What stands under the field, if there is one."""
        if self.mode == "edit":
            return self._verdict(editing, key, width)
        found: list[Line] = [[(tr("config.search_help", n=num_found), "dim")]] if self.mode == "search" else []
        about = wrap([(tr("config.start_help"), "text")], width) if key == START else about_lines(editing, INFO[key], width)
        return found + about

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(gate.unescaped(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered(gate.unescaped(event.value)))

    def _verdict(self, editing: Editing, key: str, width: int) -> list[Line]:
        """Whether what is typed is allowed, and why not."""
        text, glyphs = gate.unescaped(self.query_one(Input).value), self._glyphs
        if refusal := editing.refusal(key, text):
            lines = wrap([(f"{glyphs.failed} ", "bad"), (gate.safe(refusal), "text")], width, "  ")
        else:
            lines = wrap([(f"{glyphs.done} ", "good"), (_accepted(key, text), "dim")], width, "  ")
        takes: Line = [(tr("config.takes"), "dim"), (" ", ""), (allowed_text(INFO[key]), "dim")]
        return [*lines, *wrap(takes, width), *about_lines(editing, INFO[key], width)[:1]]


class DerivedPanel(SteadyView):
    """What follows from the document shown last; facts: None until they are found."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self._finder = FactFinder()
        self._document = Document("")
        self._is_finding = self._must_find_again = False
        self.facts: Facts | None = None

    @property
    def plan(self) -> RunPlan | None:
        """The forecast, None while there is none."""
        return self.facts.plan if self.facts else None

    def show_document(self, document: Document) -> None:
        """Show what is known at once, the rest when it is found."""
        self._document = document
        self._show_facts()
        if self._is_finding:
            self._must_find_again = True
        else:
            self._is_finding = True
            self._find(document)

    @work(thread=True)
    def _find(self, document: Document) -> None:
        facts = self._finder.find(document)
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._have, facts)

    def _have(self, facts: Facts) -> None:
        self._is_finding, self.facts = False, facts
        self._show_facts()
        if self._must_find_again:
            self._must_find_again = False
            self.show_document(self._document)

    def _show_facts(self) -> None:
        self.name_border(tr("config.derived"))
        config, facts = self._document.values, self.facts
        self.show(lambda width, height: derived_lines(config, facts, self._glyphs, width))


def _accepted(key: str, text: str) -> str:
    changed = Document("")
    changed.set_text(key, text)
    if key in ("data.path", "data.eval_path") and text not in ("", "bundled") and not os.path.exists(os.path.expanduser(text)):
        return tr("config.not_there")
    return tr("config.accepted", value=value_text(value(changed, key)))

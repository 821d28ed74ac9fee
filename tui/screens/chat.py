"""A run's model answers beside its base, both the same prompt. Nothing is loaded before it is asked for.

A thread looks at the runs, another loads, a third listens to the process; all three only send messages. What is asked and answered is
`tui.chatting`.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import events, work
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from engine import answers
from engine.run_directory import RunDirectory
from tui import amounts
from tui.askable import Askable, askable_runs, default_run
from tui.chatting import Chat
from tui.exchanges import Exchange, Exchanges
from tui.keymap import bind
from tui.run_index import RunIndex
from tui.screens.base import DanluScreen
from tui.texts import tr
from tui.widgets.bars import KeyBar
from tui.widgets.chat_view import ChatView, Picture
from tui.widgets.choices import Choice, Choices
from tui.widgets.dialogs import Confirm
from tui.widgets.question_field import QuestionField


class ChatScreen(DanluScreen):
    """One model at a time; the questions of the whole session, whichever model they went to."""

    tab = "chat"
    refresh_s = 2.0
    CSS = "ChatScreen QuestionField, ChatScreen QuestionField:focus { height: 3; background: $background; }"
    BINDINGS: ClassVar = [
        bind("enter,i", "ask", "chat.keys.ask"),
        bind("x,escape", "give_up", "chat.keys.give_up"),
        bind("b", "base", "chat.keys.base"),
        bind("v", "question", "chat.keys.question"),
        bind("w", "with_base", "chat.keys.without_base"),
        bind("s", "load", "chat.keys.load"),
        bind("o", "choose", "chat.keys.choose"),
        bind("u", "unload", "chat.keys.unload"),
        bind("left,h", "turn(-1)", "chat.keys.older", show=False),
        bind("right,l", "turn(1)", "chat.keys.newer", show=False),
        bind("down,j", "scroll(1)", "chat.keys.down", show=False),
        bind("up,k", "scroll(-1)", "chat.keys.up", show=False),
        bind("pagedown,space", "scroll(10)", "chat.keys.page_down", show=False),
        bind("pageup", "scroll(-10)", "chat.keys.page_up", show=False),
    ]

    class Listed(Message):
        """Which runs can be asked now."""

        def __init__(self, runs: list[Askable]):
            super().__init__()
            self.runs = runs

    class Heard(Message):
        """What the process of a chat has said."""

        def __init__(self, chat: Chat, reply: answers.Reply):
            super().__init__()
            self.chat, self.reply = chat, reply

    def __init__(self) -> None:
        super().__init__()
        self._index = RunIndex()
        self._runs: list[Askable] | None = None
        self._is_looking = False
        self._chat: Chat | None = None
        self._exchanges = Exchanges()
        self._with_base = True
        self._shows_base = self._shows_question = False

    def compose_body(self) -> Iterable[Widget]:
        yield ChatView(self.session.glyphs)
        yield QuestionField(tr("chat.field.placeholder"), id="field", classes="panel")

    @property
    def view(self) -> ChatView:
        return self.query_one(ChatView)

    @property
    def field(self) -> QuestionField:
        return self.query_one(QuestionField)

    # Which run

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._settle()

    def look(self) -> None:
        """Look for runs that can be asked, once at a time."""
        if not self._is_looking:
            self._is_looking = True
            self._read()

    @work(thread=True, group="look", exit_on_error=False)
    def _read(self) -> None:
        try:
            runs = askable_runs(self._index.rows(self.session.output_dir))
        except OSError:
            runs = []  # the folder went away while it was read; the next look tells
        self.post_message(self.Listed(runs))

    def on_chat_screen_listed(self, message: Listed) -> None:
        self._is_looking, self._runs = False, message.runs
        self._settle()

    def _settle(self) -> None:
        """Turn to the run that was asked for, else to the attached or newest one; a model that is loaded stays."""
        run, shown = self.session.chat_run, self._chat.run if self._chat else None
        if run is None:
            run = shown if self._chat and self._chat.has_begun else default_run(self._runs or [], self.session.run)
        if (run.path if run else None) != (shown.path if shown else None):
            self._turn_to(run)
        self._draw()

    def _turn_to(self, run: RunDirectory | None) -> None:
        """Let go of the model, and be ready to load that of `run`."""
        if self._chat is not None:
            self.run_worker(self._chat.close, thread=True, group="close")
        self._exchanges.forget_unanswered()
        self._chat = Chat(run) if run else None
        self.query_one(KeyBar).refresh()

    def on_unmount(self) -> None:
        if self._chat is not None:
            self._chat.close()

    # Asking

    def on_input_submitted(self, event: QuestionField.Submitted) -> None:
        """Send the question; it stays in the field where that is not possible."""
        question = self.field.question
        if not question:
            return
        if self._chat is None:
            self.say(tr("chat.choose.none"), "warning")
        elif self._chat.is_busy:
            self.say(tr("chat.note.busy"), "warning")
        else:
            self._with_model(lambda: self._send(question))

    def _send(self, question: str) -> None:
        self.field.remember()
        exchange = Exchange(question, self._chat.run.name)
        self._exchanges.add(exchange)
        self._shows_base = self._shows_question = False
        self._chat.ask(exchange, self._with_base)
        self._changed()

    def _with_model(self, then: Callable[[], None] = lambda: None) -> None:
        """Load the model if it is not there, then go on; beside a training only after `y`."""
        about = self._about()
        if self._chat.state.ready is not None or self._chat.is_loading:
            then()
            return
        if about is None:
            self.say(tr("chat.note.nothing_yet"), "warning")
            return
        if not about.is_alive:
            self._load(then)
            return
        text = tr("chat.live.text", name=about.run.name, model=about.model)
        self.app.push_screen(Confirm(tr("chat.live.title"), text), lambda yes: self._load(then) if yes else None)

    def _load(self, then: Callable[[], None]) -> None:
        if self._chat.state.fault:
            self._turn_to(self._chat.run)
        chat = self._chat
        chat.begin()
        take = lambda reply: self.post_message(self.Heard(chat, reply))  # noqa: E731
        self.run_worker(lambda: chat.load(take), thread=True, group="load")
        then()
        self._changed()

    def on_chat_screen_heard(self, message: Heard) -> None:
        if message.chat is not self._chat:
            return
        before = self._mood()
        self._chat.hear(message.reply)
        if self._chat.state.fault:
            self._exchanges.forget_unanswered()
        if self._mood() != before:
            self.query_one(KeyBar).refresh()
        self._draw()

    def _mood(self) -> tuple:
        """What the keys depend on."""
        chat = self._chat
        return (chat.is_loading, chat.is_busy, chat.is_base_next, chat.state.ready is None) if chat else ()

    # Drawing

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self._changed()

    def _changed(self) -> None:
        self.query_one(KeyBar).refresh()
        self._draw()

    def _draw(self) -> None:
        if self._runs is not None:
            folder = str(self.session.output_dir)
            self.view.draw(Picture(self._chat, self._about(), self._exchanges, self._shows_base, self._shows_question, folder))

    def _about(self) -> Askable | None:
        """What is known of the run to be asked."""
        return next((one for one in self._runs or [] if self._chat and one.run.path == self._chat.run.path), None)

    # Keys

    def offers(self, binding: Binding) -> bool:
        """Keys that would do nothing now are not in the footer."""
        chat, exchange = self._chat, self._exchanges.shown
        match binding.action:
            case "give_up":
                return chat is not None and (chat.is_busy or chat.is_loading)
            case "base":
                return exchange is not None and not self.view.is_wide
            case "question":
                return exchange is not None and self.view.is_long(exchange)
            case "load":
                return self._about() is not None and chat is not None and chat.state.ready is None and not chat.is_loading
            case "unload":
                return chat is not None and chat.state.ready is not None
            case "choose":
                return len(self._runs or []) > 1
            case "ask" | "with_base":
                return self._about() is not None
        return True

    def label(self, binding: Binding) -> str:
        """The keys that switch are called by what they switch to."""
        if binding.action == "base" and self._shows_base:
            return tr("chat.keys.tuned")
        if binding.action == "with_base" and not self._with_base:
            return tr("chat.keys.with_base")
        if binding.action == "question" and self._shows_question:
            return tr("chat.keys.answers")
        if binding.action == "give_up" and self._chat and self._chat.is_base_next:
            return tr("chat.keys.skip")
        return super().label(binding)

    def action_ask(self) -> None:
        self.field.focus()

    def on_question_field_left(self) -> None:
        self.set_focus(None)

    def action_give_up(self) -> None:
        """The answer being written ends with what there is, and the base's turn comes; loading ends with nothing."""
        if self._chat is None:
            return
        if self._chat.is_loading:
            self._turn_to(self._chat.run)
        else:
            self._chat.halt()
        self._changed()

    def action_base(self) -> None:
        self._shows_base = not self._shows_base
        self._changed()

    def action_question(self) -> None:
        """The whole question in place of its answers, or these again."""
        exchange = self._exchanges.shown
        self._shows_question = not self._shows_question and exchange is not None and self.view.is_long(exchange)
        self._changed()

    def action_with_base(self) -> None:
        """Whether the base model is asked from now on."""
        self._with_base = not self._with_base
        self._changed()

    def action_load(self) -> None:
        if self._chat is not None:
            self._with_model()

    def action_unload(self) -> None:
        """End the process, so that its memory is free."""
        if self._chat is not None and self._chat.has_begun:
            self._turn_to(self._chat.run)
            self.say(tr("chat.note.freed"))
            self._draw()

    def action_choose(self) -> None:
        """Ask another run's model."""
        if not self._runs:
            self.say(tr("chat.choose.none"), "warning")
            return
        choices = [Choice(one, one.run.name, tr("chat.choose.note", step=one.step, loss=amounts.loss(one.loss))) for one in self._runs]
        self.app.push_screen(Choices(tr("chat.choose.title"), choices, self._about()), self._chosen)

    def _chosen(self, chosen: object) -> None:
        if isinstance(chosen, Askable):
            self.danlu.chat(chosen.run)

    def action_turn(self, questions: int) -> None:
        """Show an earlier (negative) or later question with its answers."""
        self._exchanges.turn(questions)
        self._shows_question = False
        self._changed()

    def action_scroll(self, lines: int) -> None:
        self.view.scroll(lines)

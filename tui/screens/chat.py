"""A run's model answers beside its base, both the same prompt. Nothing is loaded before it is asked for.

A thread looks at the runs, another loads, a third listens to the process; all three only send messages. What is asked and answered is
`tui.chatting`.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import events, work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget

from engine import answers
from engine.run_directory import RunDirectory
from tui import amounts
from tui.askable import Askable, askable_runs, default_run
from tui.chatting import Chat, Exchange
from tui.keymap import bind
from tui.run_index import RunIndex
from tui.screens.base import DanluScreen
from tui.texts import tr
from tui.widgets.answer_view import AnswerView
from tui.widgets.bars import KeyBar
from tui.widgets.chat_lines import about_lines, question_lines, status_lines
from tui.widgets.choices import Choice, Choices
from tui.widgets.dialogs import Confirm
from tui.widgets.question_field import QuestionField
from tui.widgets.steady import Line, SteadyView

WIDE = 100
"""From so many columns on both answers stand side by side."""


class ChatScreen(DanluScreen):
    """One model at a time; the questions of the whole session, whichever model they went to."""

    tab = "chat"
    refresh_s = 2.0
    CSS = """
    ChatScreen #status, ChatScreen #question { height: 1; }
    ChatScreen #about { height: 1fr; }
    ChatScreen #answers { height: 1fr; }
    ChatScreen AnswerView { width: 1fr; height: 1fr; }
    ChatScreen QuestionField, ChatScreen QuestionField:focus { height: 3; background: $background; }
    """
    BINDINGS: ClassVar = [
        bind("enter,i", "ask", "chat.keys.ask"),
        bind("x,escape", "give_up", "chat.keys.give_up"),
        bind("b", "base", "chat.keys.base"),
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
        self._exchanges: list[Exchange] = []
        self._at = 0
        self._with_base = True
        self._shows_base = False
        """Where there is room for one answer only."""

    def compose_body(self) -> Iterable[Widget]:
        glyphs = self.session.glyphs
        yield SteadyView(id="status")
        yield SteadyView(id="about")
        yield SteadyView(id="question")
        with Horizontal(id="answers"):
            yield AnswerView(glyphs, True, id="base", classes="panel")
            yield AnswerView(glyphs, False, id="tuned", classes="panel")
        yield QuestionField(tr("chat.field.placeholder"), id="field", classes="panel")

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
            run = shown if self._chat and self._chat.phase else default_run(self._runs or [], self.session.run)
        if (run.path if run else None) != (shown.path if shown else None):
            self._turn_to(run)
        self._draw()

    def _turn_to(self, run: RunDirectory | None) -> None:
        """Let go of the model, and be ready to load that of `run`."""
        if self._chat is not None:
            self.run_worker(self._chat.close, thread=True, group="close")
        self._forget_unanswered()
        self._chat = Chat(run) if run else None
        self.query_one(KeyBar).refresh()

    def _forget_unanswered(self) -> None:
        """Questions whose model has gone before it said anything."""
        self._exchanges = [exchange for exchange in self._exchanges if exchange.answers]
        self._at = min(self._at, max(0, len(self._exchanges) - 1))

    def on_unmount(self) -> None:
        if self._chat is not None:
            self._chat.close()

    # Asking

    def on_input_submitted(self, event: QuestionField.Submitted) -> None:
        """Send the question; it stays in the field where that is not possible."""
        question = event.value.strip()
        if not question:
            return
        if self._chat is None:
            self.say(tr("chat.choose.none"), "warning")
        elif self._chat.is_busy:
            self.say(tr("chat.note.busy"), "warning")
        else:
            self._with_model(lambda: self._send(question))

    def _send(self, question: str) -> None:
        self.field.remember(question)
        exchange = Exchange(question, self._chat.run.name)
        self._exchanges.append(exchange)
        self._at, self._shows_base = len(self._exchanges) - 1, False
        self._chat.ask(exchange, self._with_base)
        self._changed()

    def _with_model(self, then: Callable[[], None] = lambda: None) -> None:
        """Load the model if it is not there, then go on; beside a training only after `y`."""
        if self._chat.ready is not None or self._chat.is_loading:
            then()
            return
        about = self._about()
        if about is None or not about.is_alive:
            self._load(then)
            return
        text = tr("chat.live.text", name=about.run.name, model=about.model)
        self.app.push_screen(Confirm(tr("chat.live.title"), text), lambda yes: self._load(then) if yes else None)

    def _load(self, then: Callable[[], None]) -> None:
        if self._chat.fault:
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
        if self._chat.fault:
            self._forget_unanswered()
        if self._mood() != before:
            self.query_one(KeyBar).refresh()
        self._draw()

    def _mood(self) -> tuple:
        """What the keys depend on."""
        chat = self._chat
        return (chat.is_loading, chat.is_busy, chat.ready is None) if chat else ()

    # Drawing

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self.set_class(event.size.width >= WIDE, "wide")
        self._changed()

    def _changed(self) -> None:
        self.query_one(KeyBar).refresh()
        self._draw()

    def _draw(self) -> None:
        """Show the state; what is the same on screen is not sent again."""
        exchange = self._exchanges[self._at] if self._exchanges else None
        self._fit("#status", self._status)
        self.query_one("#about").display = exchange is None
        self.query_one("#question").display = self.query_one("#answers").display = exchange is not None
        if exchange is None:
            self.query_one("#about", SteadyView).show(self._about_lines)
            return
        self._fit("#question", lambda width, height: question_lines(exchange, self.session.glyphs, width))
        for view, base in ((self.query_one("#base", AnswerView), True), (self.query_one("#tuned", AnswerView), False)):
            view.display = self.has_class("wide") or base == self._shows_base
            view.draw(exchange, self._chat)

    def _fit(self, name: str, build: Callable[[int, int], list[Line]]) -> None:
        """Show lines in a view as high as they are."""
        view = self.query_one(name, SteadyView)
        view.styles.height = len(build(max(1, self.size.width), 0))
        view.show(build)

    def _status(self, width: int, height: int) -> list[Line]:
        total = len(self._exchanges)
        place = tr("chat.status.place", n=self._at + 1, total=total) if total else ""
        return status_lines(self._chat, self._about(), place, self.session.glyphs, width)

    def _about_lines(self, width: int, height: int) -> list[Line]:
        if self._runs is None:
            return []
        lines = about_lines(self._chat, self._about(), str(self.session.output_dir), self.session.glyphs, width)
        return [[] for _ in range(max(0, (height - len(lines)) // 2))] + lines

    def _about(self) -> Askable | None:
        """What is known of the run to be asked."""
        return next((one for one in self._runs or [] if self._chat and one.run.path == self._chat.run.path), None)

    # Keys

    def offers(self, binding: Binding) -> bool:
        """Keys that would do nothing now are not in the footer."""
        chat = self._chat
        match binding.action:
            case "give_up":
                return chat is not None and (chat.is_busy or chat.is_loading)
            case "base":
                return bool(self._exchanges) and not self.has_class("wide")
            case "load":
                return chat is not None and chat.ready is None and not chat.is_loading
            case "unload":
                return chat is not None and chat.ready is not None
            case "choose":
                return len(self._runs or []) > 1
            case "ask" | "with_base":
                return chat is not None
        return True

    def label(self, binding: Binding) -> str:
        """The keys that switch are called by what they switch to."""
        if binding.action == "base" and self._shows_base:
            return tr("chat.keys.tuned")
        if binding.action == "with_base" and not self._with_base:
            return tr("chat.keys.with_base")
        return super().label(binding)

    def action_ask(self) -> None:
        self.field.focus()

    def on_question_field_left(self) -> None:
        self.set_focus(None)

    def action_give_up(self) -> None:
        """The answer being written ends with what there is; loading ends with nothing."""
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

    def action_with_base(self) -> None:
        """Whether the base model is asked from now on."""
        self._with_base = not self._with_base
        self._changed()

    def action_load(self) -> None:
        if self._chat is not None:
            self._with_model()

    def action_unload(self) -> None:
        """End the process, so that its memory is free."""
        if self._chat is not None and self._chat.phase is not None:
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
        self._at = min(max(0, self._at + questions), max(0, len(self._exchanges) - 1))
        self._draw()

    def action_scroll(self, lines: int) -> None:
        for view in self.query(AnswerView):
            view.scroll_lines(lines)

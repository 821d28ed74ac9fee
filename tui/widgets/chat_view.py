"""What stands above the field of the chat screen: how the model is; below it what the screen is for, or a question and its answers."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui.askable import Askable
from tui.chatting import Chat
from tui.exchanges import Exchange, Exchanges
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.answer_view import AnswerView
from tui.widgets.chat_lines import about_lines, cut_question, question_lines, status_lines
from tui.widgets.steady import Line, SteadyView

WIDE = 100
"""From so many columns on both answers stand side by side."""


@dataclass(frozen=True)
class Picture:
    """about: what is known of the chat's run, None where it has saved nothing.  shows_base: where there is room for one answer only.
    shows_question: the whole of it, in place of the answers.  folder: of the runs."""

    chat: Chat | None
    about: Askable | None
    exchanges: Exchanges
    shows_base: bool
    shows_question: bool
    folder: str


class ChatView(Vertical):
    """Draws a `Picture`; what is the same on screen is not sent again."""

    DEFAULT_CSS = """
    ChatView { height: 1fr; }
    ChatView #status, ChatView #question { height: 1; }
    ChatView #about, ChatView #answers { height: 1fr; }
    ChatView AnswerView { width: 1fr; height: 1fr; }
    """

    def __init__(self, glyphs: Glyphs):
        super().__init__()
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        yield SteadyView(id="status")
        yield SteadyView(id="about")
        yield SteadyView(id="question")
        with Horizontal(id="answers"):
            yield AnswerView(self._glyphs, True, id="base", classes="panel")
            yield AnswerView(self._glyphs, False, id="tuned", classes="panel")

    @property
    def is_wide(self) -> bool:
        """Whether there is room for both answers."""
        return self.app.size.width >= WIDE

    def is_long(self, exchange: Exchange) -> bool:
        """Whether the question has more lines than are shown above its answers."""
        width = max(1, self.app.size.width)
        lines = question_lines(exchange, self._glyphs, width)
        return cut_question(lines, width) is not lines

    def draw(self, picture: Picture) -> None:
        exchange = picture.exchanges.shown
        self._fit("#status", lambda width, height: self._status(picture, width))
        self.query_one("#about").display = exchange is None
        self.query_one("#question").display = exchange is not None
        self.query_one("#answers").display = exchange is not None and not picture.shows_question
        if exchange is None:
            self.query_one("#about", SteadyView).show(lambda width, height: self._about(picture, width, height))
            return
        self._draw_question(exchange, picture.shows_question)
        for view in self.query(AnswerView):
            view.display = self.is_wide or view.is_base == picture.shows_base
            view.draw(exchange, picture.chat)

    def scroll(self, lines: int) -> None:
        """Move what is shown: the answers, or the whole question."""
        question = self.query_one("#question", SteadyView)
        for view in [question] if not self.query_one("#answers").display else self.query(AnswerView):
            view.scroll_lines(lines)

    def _draw_question(self, exchange: Exchange, is_whole: bool) -> None:
        """At its height above the answers; the whole takes their place."""
        if not is_whole:
            self._fit("#question", lambda width, height: cut_question(question_lines(exchange, self._glyphs, width), width))
            return
        view = self.query_one("#question", SteadyView)
        view.styles.height = "1fr"
        view.show(lambda width, height: question_lines(exchange, self._glyphs, width))

    def _fit(self, name: str, build: Callable[[int, int], list[Line]]) -> None:
        """Show lines in a view as high as they are."""
        view = self.query_one(name, SteadyView)
        view.top = 0
        view.styles.height = len(build(max(1, self.app.size.width), 0))
        view.show(build)

    def _status(self, picture: Picture, width: int) -> list[Line]:
        total = len(picture.exchanges)
        place = tr("chat.status.place", n=picture.exchanges.number, total=total) if total else ""
        return status_lines(picture.chat, picture.about, place, self._glyphs, width)

    def _about(self, picture: Picture, width: int, height: int) -> list[Line]:
        lines = about_lines(picture.chat, picture.about, picture.folder, self._glyphs, width)
        return [[] for _ in range(max(0, (height - len(lines)) // 2))] + lines

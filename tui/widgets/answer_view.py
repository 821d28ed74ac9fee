"""What one of two models answers to a question: the trained one or its base, growing while it is written.

How an answer looks is `tui.widgets.sample_lines`.
"""

from tui import gate
from tui.chatting import Chat, Exchange, Unanswered
from tui.fold import LiveSample
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.chart import centred
from tui.widgets.lines import wrap
from tui.widgets.sample_lines import SampleLines
from tui.widgets.steady import Line, SteadyView


class AnswerView(SteadyView):
    """The pane of one model."""

    def __init__(self, glyphs: Glyphs, base: bool, **options):
        super().__init__(**options)
        self._glyphs, self._base = glyphs, base
        self._exchange: Exchange | None = None
        self._chat: Chat | None = None
        self._layout = SampleLines(glyphs)
        self.jumps = True

    def draw(self, exchange: Exchange, chat: Chat | None) -> None:
        """Show what is answered to `exchange`; chat: the model that may be at it."""
        if exchange is not self._exchange:
            self._exchange, self.top = exchange, 0
            self._layout.forget()
            self.follows_end = self._base not in exchange.answers
        self._chat = chat
        self._retitle(exchange)
        self.show(self._lines)

    def _retitle(self, exchange: Exchange) -> None:
        if self._base:
            parts = [tr("chat.pane.base")]
        else:
            parts = [tr("chat.pane.tuned"), gate.safe(exchange.run_name)]
            if exchange.step:
                parts.append(tr("chat.pane.step", step=exchange.step))
        if isinstance(exchange.answers.get(self._base), LiveSample):
            parts.append(f"{self._glyphs.running} {tr('train.sample.writing')}")
        self.name_border(" · ".join(parts))

    def _lines(self, width: int, height: int) -> list[Line]:
        assert self._exchange is not None
        answer = self._exchange.answers.get(self._base)
        if answer is None:
            return centred(tr(f"chat.pane.{self._nothing(self._exchange)}"), width, height)
        if isinstance(answer, Unanswered):
            return wrap([(f"{self._glyphs.failed} {gate.safe(answer.reason)}", "bad")], width, "  ")
        opens = self._chat is None or self._chat.opens_thinking
        return self._layout.said(answer, opens, width, self._base in self._exchange.given_up)[1:]

    def _nothing(self, exchange: Exchange) -> str:
        """Why there is nothing to show."""
        if self._chat is None or not self._chat.awaits(exchange, self._base):
            return "not_asked"
        if self._chat.ready is None:
            return "loading"
        return "reading" if self._chat.current == (exchange, self._base) else "next"

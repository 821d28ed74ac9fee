"""What one of two models answers to a question: the trained one or its base, growing while it is written.

How an answer looks is `tui.widgets.sample_lines`.
"""

from tui import gate
from tui.chatting import Chat
from tui.exchanges import Exchange
from tui.fold import LiveSample
from tui.glyphs import Glyphs
from tui.model_state import Unanswered
from tui.texts import tr
from tui.widgets.chart import centred
from tui.widgets.lines import wrap
from tui.widgets.sample_lines import SampleLines
from tui.widgets.steady import Line, SteadyView


class AnswerView(SteadyView):
    """The pane of one model."""

    def __init__(self, glyphs: Glyphs, base: bool, **options):
        super().__init__(**options)
        self._glyphs, self.is_base = glyphs, base
        self._exchange: Exchange | None = None
        self._chat: Chat | None = None
        self._layout = SampleLines(glyphs)
        self.jumps = True

    def draw(self, exchange: Exchange, chat: Chat | None) -> None:
        """Show what is answered to `exchange`; chat: the model that may be at it."""
        if exchange is not self._exchange:
            self._exchange, self.top = exchange, 0
            self._layout.forget()
            self.follows_end = self.is_base not in exchange.answers
        self._chat = chat
        self._retitle(exchange)
        self.show(self._lines)

    def _retitle(self, exchange: Exchange) -> None:
        if self.is_base:
            parts = [tr("chat.pane.base")]
        else:
            parts = [tr("chat.pane.tuned"), gate.safe(exchange.run_name)]
            if exchange.step:
                parts.append(tr("chat.pane.step", step=exchange.step))
        if isinstance(exchange.answers.get(self.is_base), LiveSample) and self.is_base not in exchange.broken_off:
            parts.append(f"{self._glyphs.running} {tr('train.sample.writing')}")
        self.name_border(" · ".join(parts))

    def _lines(self, width: int, height: int) -> list[Line]:
        assert self._exchange is not None
        answer = self._exchange.answers.get(self.is_base)
        broken_off = wrap([(f"{self._glyphs.failed} {tr('chat.pane.broken_off')}", "bad")], width, "  ")
        if self.is_base in self._exchange.broken_off and not isinstance(answer, LiveSample):
            return broken_off
        if answer is None:
            return centred(tr(f"chat.pane.{self._nothing(self._exchange)}"), width, height)
        if isinstance(answer, Unanswered):
            return wrap([(f"{self._glyphs.failed} {gate.safe(answer.reason)}", "bad")], width, "  ")
        opens = self._chat is None or self._chat.opens_thinking
        lines = self._layout.said(answer, opens, width, self.is_base in self._exchange.given_up)[1:]
        return [*lines, [], *broken_off] if self.is_base in self._exchange.broken_off else lines

    def _nothing(self, exchange: Exchange) -> str:
        """Why there is nothing to show."""
        if self._chat is None or not self._chat.awaits(exchange, self.is_base):
            return "not_asked"
        if self._chat.state.ready is None:
            return "loading"
        return "reading" if self._chat.current == (exchange, self.is_base) else "next"

"""One run's model being asked on the chat screen: loaded when it is first needed, then one question at a time, to it and to its base.

A life: `load` in a thread, `hear` every reply where the state is kept, `close`. It draws nothing; the process is `tui.answering`, what it
has said `tui.model_state`.
"""

import threading
from collections import deque
from collections.abc import Callable

from data.errors import DanluError
from engine import answers, events
from engine.chosen_adapter import choose_adapter
from engine.run_directory import RunDirectory
from tui.answering import Answerer
from tui.exchanges import Exchange
from tui.model_state import ModelState


class Chat:
    """One run's model. A new conversation for every question, so that both models answer the same prompt."""

    def __init__(self, run: RunDirectory):
        self.run = run
        self.state = ModelState()
        self.current: tuple[Exchange, bool] | None = None
        """The question being answered, and whether by the base model."""
        self._waiting: deque[tuple[Exchange, bool]] = deque()
        self._is_halting = False
        self._answerer: Answerer | None = None
        self._is_closed = False
        self._starting = threading.Lock()

    @property
    def has_begun(self) -> bool:
        """Whether there is a process, or was one."""
        return self.state.phase is not None

    @property
    def is_loading(self) -> bool:
        return self.has_begun and self.state.ready is None and not self.state.fault

    @property
    def is_busy(self) -> bool:
        """Whether a question is being answered, or waits until the model is loaded."""
        return self.current is not None or bool(self._waiting)

    @property
    def opens_thinking(self) -> bool:
        """Whether a text without tags is thinking."""
        return self.state.ready is None or self.state.ready.thinking_style != "plain"

    @property
    def is_base_next(self) -> bool:
        """Whether the base model answers when the answer being written is at its end."""
        return self.current is not None and bool(self._waiting)

    def awaits(self, exchange: Exchange, base: bool) -> bool:
        """Whether that model will answer, or has begun to."""
        return (exchange, base) == self.current or (exchange, base) in self._waiting

    def begin(self) -> None:
        """`load` has been called for."""
        self.state.phase = events.Phase(name="import")

    def load(self, take: Callable[[answers.Reply], None]) -> None:
        """Check the newest adapter and start its process; for a thread, because that reads the whole adapter. take: is given each reply."""
        try:
            adapter = choose_adapter(self.run)
            with self._starting:
                if not self._is_closed:
                    self._answerer = Answerer(self.run, adapter, take)
        except DanluError as error:
            take(answers.refusal("", error))
        except OSError as error:
            take(answers.Refused(id="", reason=str(error)))

    def close(self) -> None:
        """End the process; its memory is free when this returns."""
        with self._starting:
            self._is_closed = True
        if self._answerer is not None:
            self._answerer.close()

    def ask(self, exchange: Exchange, with_base: bool) -> None:
        """Let the trained model answer, then its base; as soon as there is one."""
        self._waiting.extend((exchange, base) for base in ((False, True) if with_base else (False,)))
        self._ask_next()

    def halt(self) -> None:
        """Give up the answer that is being written; the base's turn comes all the same."""
        if self.current is not None and self._answerer is not None:
            self._is_halting = True
            self._answerer.halt(self.state.request)

    def hear(self, reply: answers.Reply) -> None:
        """What the process says."""
        self.state.hear(reply)
        if self.current is not None:
            self._note(*self.current)
        if self.state.fault:
            self._waiting.clear()
        if not self.state.request:
            self.current = None
            self._ask_next()

    def _note(self, exchange: Exchange, base: bool) -> None:
        """Put what is answered so far to its question."""
        if self.state.answer is not None:
            exchange.answers[base] = self.state.answer
        if isinstance(self.state.answer, events.SampleFinished) and self._is_halting and not self.state.answer.ended:
            exchange.given_up.add(base)
        if self.state.fault:
            exchange.broken_off.add(base)

    def _ask_next(self) -> None:
        if self.state.ready is None or self._answerer is None or self.current is not None or not self._waiting:
            return
        self.current = exchange, base = self._waiting.popleft()
        self._is_halting = False
        exchange.step = self.state.ready.step
        self.state.begin(self._answerer.ask(exchange.prompt, base=base))

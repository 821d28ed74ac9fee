"""One run's model being asked, and what it has answered: loading, ready or failed, and one question at a time to it and to its base.

A life: `load` in a thread, `hear` every reply where the state is kept, `close`. It draws nothing; the process is `tui.answering`.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from data.errors import DanluError
from engine import answers, events
from engine.chosen_adapter import choose_adapter
from engine.run_directory import RunDirectory
from tui.answering import Answerer
from tui.fold import LiveSample


@dataclass(frozen=True)
class Unanswered:
    """Why a model came to no answer: one message for people."""

    reason: str


Answer = events.SampleFinished | LiveSample | Unanswered


@dataclass(eq=False)
class Exchange:
    """One question and what was answered to it, by whether that is the base model.  run_name, step: of the trained model."""

    prompt: str
    run_name: str
    step: int = 0
    answers: dict[bool, Answer] = field(default_factory=dict)
    given_up: set[bool] = field(default_factory=set)


class Chat:
    """One run's model. A new conversation for every question, so that both models answer the same prompt."""

    def __init__(self, run: RunDirectory):
        self.run = run
        self.phase: events.Phase | None = None
        """What loading is at; None before it begins."""
        self.ready: answers.Ready | None = None
        self.fault = ""
        """Why there is no model any more."""
        self._waiting: deque[tuple[Exchange, bool]] = deque()
        self.current: tuple[Exchange, bool] | None = None
        """The question being answered, and whether by the base model."""
        self._is_halting = False
        self._answerer: Answerer | None = None
        self._is_closed = False
        self._starting = threading.Lock()

    @property
    def is_loading(self) -> bool:
        return self.phase is not None and self.ready is None and not self.fault

    @property
    def is_busy(self) -> bool:
        """Whether a question is being answered, or waits until the model is loaded."""
        return self.current is not None or bool(self._waiting)

    @property
    def opens_thinking(self) -> bool:
        """Whether a text without tags is thinking."""
        return self.ready is None or self.ready.thinking_style != "plain"

    def awaits(self, exchange: Exchange, base: bool) -> bool:
        """Whether that model will answer, or has begun to."""
        return (exchange, base) == self.current or (exchange, base) in self._waiting

    def begin(self) -> None:
        """`load` has been called for."""
        self.phase = events.Phase(name="import")

    def load(self, take: Callable[[answers.Reply], None]) -> None:
        """Check the newest adapter and start its process; for a thread, because that reads the whole adapter. take: is given each reply."""
        try:
            adapter = choose_adapter(self.run)
            with self._starting:
                if not self._is_closed:
                    self._answerer = Answerer(self.run, adapter, take)
        except (DanluError, OSError) as error:
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
        """Give up what is being written, and do not begin what was to follow."""
        self._waiting.clear()
        if self.current is not None and self._answerer is not None:
            self._is_halting = True
            self._answerer.halt()

    def hear(self, reply: answers.Reply) -> None:
        """What the process says."""
        match reply:
            case events.Phase():
                self.phase = reply
            case answers.Ready():
                self.ready = reply
                self._ask_next()
            case answers.Refused(id=""):
                self.fault, self.ready, self.current = reply.reason, None, None
                self._waiting.clear()
            case answers.Refused():
                self._answered(Unanswered(reply.reason))
                self._done()
            case answers.Done():
                self._done()
            case events.SampleStarted():
                self._answered(LiveSample(reply.id, reply.prompt, reply.step, reply.max_new_tokens))
            case events.SampleText():
                self._grow(reply)
            case events.SampleFinished():
                self._answered(reply)

    def _ask_next(self) -> None:
        if self.ready is None or self._answerer is None or self.current is not None or not self._waiting:
            return
        self.current = exchange, base = self._waiting.popleft()
        self._is_halting = False
        exchange.step = self.ready.step
        self._answerer.ask(exchange.prompt, base=base)

    def _answered(self, answer: Answer) -> None:
        if self.current is None:
            return
        exchange, base = self.current
        exchange.answers[base] = answer
        if self._is_halting:
            exchange.given_up.add(base)

    def _grow(self, piece: events.SampleText) -> None:
        if self.current is not None:
            exchange, base = self.current
            live = exchange.answers.get(base)
            if isinstance(live, LiveSample):
                live.text = live.text[: piece.offset] + piece.text

    def _done(self) -> None:
        self.current = None
        self._ask_next()

"""A trained model asked by a command, one request after another: waits for replies and tells what it is waiting for.

What the replies come to is `tui.model_state`, the process behind them `tui.answering`.
"""

import queue
from collections.abc import Callable

from data.errors import DanluError
from engine import answers, events
from engine.chosen_adapter import choose_adapter
from engine.errors import EnvironmentFault, RunError
from engine.run_directory import RunDirectory
from tui import gate, output
from tui.answering import Answerer
from tui.fold import LiveSample
from tui.model_state import ModelState, Unanswered
from tui.progress_line import ProgressLine
from tui.sentences import device_name, phase_text
from tui.texts import tr


class Asking:
    """One model, one request at a time. Whatever is asked raises EnvironmentFault where the process has ended."""

    def __init__(self, run: RunDirectory, checkpoint: int | None):
        """checkpoint: a step, None for the final model or the newest checkpoint. Raises RunError where there is no such."""
        self._replies: queue.SimpleQueue[answers.Reply] = queue.SimpleQueue()
        self._answerer = Answerer(run, choose_adapter(run, checkpoint), self._replies.put)
        self._state = ModelState()

    def wait_until_ready(self) -> answers.Ready:
        """Tell what is being loaded until it is."""
        self._tell_until(lambda: self._state.ready is not None)
        ready = self._state.ready
        assert ready is not None
        output.narrate(tr("cli.chat.ready", model=gate.safe(ready.model), step=ready.step, device=device_name(ready.device)))
        return ready

    def ask(self, prompt: str, show: Callable[[str], None], **settings: object) -> events.SampleFinished:
        """The answer. show: is given its text, thinking included, each time it has grown.  settings: as in `answers.Ask`.

        Raises RunError with what it came to nothing for.
        """
        self._state.begin(self._answerer.ask(prompt, **settings))
        while self._state.request:
            self._hear()
            if isinstance(self._state.answer, LiveSample):
                show(self._state.answer.text)
        answer = self._answer()
        assert isinstance(answer, events.SampleFinished)
        return answer

    def evaluate(self, **settings: object) -> events.Eval:
        """How well the model does, telling how far that is. settings: as in `answers.Evaluate`. Raises RunError."""
        self._state.begin(self._answerer.evaluate(**settings))
        self._tell_until(lambda: not self._state.request)
        answer = self._answer()
        assert isinstance(answer, events.Eval)  # only a halt leaves it out
        return answer

    def halt(self) -> None:
        """Give up what is being worked on: its end follows."""
        self._answerer.halt(self._state.request)

    def close(self) -> None:
        self._answerer.close()

    def _answer(self) -> object:
        if isinstance(self._state.answer, Unanswered):
            raise _error(RunError, self._state.answer)
        return self._state.answer

    def _tell_until(self, is_over: Callable[[], bool]) -> None:
        """Show phases on the line of progress until `is_over`."""
        line = ProgressLine()
        try:
            while not is_over():
                if isinstance(phase := self._hear(), events.Phase):
                    line.tell(phase.done, phase.total, phase_text(phase))
        finally:
            line.close()

    def _hear(self) -> answers.Reply:
        reply = self._replies.get()
        self._state.hear(reply)
        if self._state.fault:
            raise _error(EnvironmentFault, self._state.fault)
        return reply


def _error(kind: type[DanluError], why: Unanswered) -> DanluError:
    """With the exit code that it has where it arose."""
    error = kind(why.reason)
    error.exit_code = why.exit_code
    return error

"""A trained model asked by a command, one request after another: waits for replies and tells what it is waiting for.

The process behind it is `tui.answering`.
"""

import queue
from collections.abc import Iterator

from engine import answers, events
from engine.chosen_adapter import choose_adapter
from engine.errors import EnvironmentFault, RunError
from engine.run_directory import RunDirectory
from tui import gate, output
from tui.answering import Answerer
from tui.progress_line import ProgressLine
from tui.sentences import device_name, phase_text
from tui.texts import tr


class Asking:
    """Replies of an answerer one after another, for one request at a time."""

    def __init__(self, run: RunDirectory, checkpoint: int | None):
        """checkpoint: a step, None for the final model or the newest checkpoint. Raises RunError where there is no such."""
        self._replies: queue.SimpleQueue[answers.Reply] = queue.SimpleQueue()
        self._answerer = Answerer(run, choose_adapter(run, checkpoint), self._replies.put)
        self.ready: answers.Ready | None = None

    def wait_until_ready(self) -> answers.Ready:
        """Tell what is being loaded until it is. Raises EnvironmentFault with what went wrong."""
        line = ProgressLine()
        try:
            while not isinstance(reply := self._take(), answers.Ready):
                if isinstance(reply, events.Phase):
                    tell_phase(line, reply)
        finally:
            line.close()
        self.ready = reply
        output.narrate(tr("cli.chat.ready", model=gate.safe(reply.model), step=reply.step, device=device_name(reply.device)))
        return reply

    def ask(self, prompt: str, **settings: object) -> Iterator[events.Event]:
        """The events of one answer."""
        return self._until_done(self._answerer.ask(prompt, **settings))

    def evaluate(self, data: str, base: bool) -> Iterator[events.Event]:
        return self._until_done(self._answerer.evaluate(data, base))

    def halt(self) -> None:
        """Give up what is being worked on: its end follows."""
        self._answerer.halt()

    def close(self) -> None:
        self._answerer.close()

    def _until_done(self, request: str) -> Iterator[events.Event]:
        while True:
            reply = self._take()
            if isinstance(reply, answers.Done) and reply.id == request:
                return
            if isinstance(reply, answers.Refused):
                raise RunError(reply.reason)
            if isinstance(reply, events.Event):
                yield reply

    def _take(self) -> answers.Reply:
        reply = self._replies.get()
        if isinstance(reply, answers.Refused) and not reply.id:
            raise EnvironmentFault(reply.reason)
        return reply


def tell_phase(line: ProgressLine, phase: events.Phase) -> None:
    """A phase on the line of progress."""
    line.tell(phase.done, phase.total, phase_text(phase))

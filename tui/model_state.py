"""What a process that holds a trained model has said, as a state: how far it is loaded, and what it answers to one request.

A fold of replies (`engine.answers`), the same for commands and for the chat screen. It sends and receives nothing: `tui.answering` does.
"""

from dataclasses import dataclass

from engine import answers, events
from tui.error_text import error_text
from tui.fold import LiveSample


@dataclass(frozen=True)
class Unanswered:
    """Why a request, or the loading, came to nothing: one message for people; outside text."""

    reason: str
    exit_code: int = 1


Answer = events.SampleFinished | LiveSample | events.Eval | Unanswered


@dataclass
class ModelState:
    """phase: what it is at; None before it has begun.  ready: None until the model is loaded, and when it is gone.  fault: why it is gone.
    request: the one being answered, "" between them.  answer: to the newest request, as far as it has come."""

    phase: events.Phase | None = None
    ready: answers.Ready | None = None
    fault: Unanswered | None = None
    request: str = ""
    answer: Answer | None = None

    def begin(self, request: str) -> None:
        """`request` has been sent."""
        self.request, self.answer = request, None

    def hear(self, reply: answers.Reply) -> None:
        """The next reply. Of a sample every piece belongs to the request, since there is one at a time."""
        match reply:
            case events.Phase():
                self.phase = reply
            case answers.Ready():
                self.ready = reply
            case answers.Refused(id=""):
                self.fault, self.ready, self.request = _why(reply), None, ""
            case answers.Refused():
                self.answer, self.request = _why(reply), ""
            case answers.Done():
                self.request = ""
            case events.SampleStarted():
                self.answer = LiveSample(reply.id, reply.prompt, reply.step, reply.max_new_tokens)
            case events.SampleText():
                if isinstance(self.answer, LiveSample):
                    self.answer.grow(reply)
            case events.SampleFinished() | events.Eval():
                self.answer = reply


def _why(reply: answers.Refused) -> Unanswered:
    return Unanswered(error_text(reply), reply.exit_code)

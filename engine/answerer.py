"""The process that holds a trained model and answers: `python -m engine.answerer RUN ADAPTER`, requests on stdin, replies on stdout.

Loads once and serves whoever started it, one request after another; ends with its stdin, also in the middle of work. What requests and
replies are is `engine.answers`. It changes nothing in the run.
"""

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from data.errors import DanluError
from engine import answers, events
from engine.answers import Ask, Evaluate, Halt
from engine.config_file import read_resolved
from engine.run_directory import RunDirectory

LEFT = 2
"""Exit code for wrong usage."""


class Inbox:
    """Requests in the order they came. A halt is heard at once, whatever is being worked on."""

    def __init__(self, source: BinaryIO):
        self._waiting: queue.SimpleQueue[Ask | Evaluate] = queue.SimpleQueue()
        self._halted: set[str] = set()
        threading.Thread(target=self._read, args=[source], daemon=True).start()

    def take(self) -> Ask | Evaluate:
        """The next request."""
        return self._waiting.get()

    def is_halted(self, request: Ask | Evaluate) -> bool:
        """Whether to give it up."""
        return request.id in self._halted

    def _read(self, source: BinaryIO) -> None:
        for line in source:
            request = answers.decode_request(line)
            if isinstance(request, Halt):
                self._halted.add(request.id)
            elif request is not None:
                self._waiting.put(request)
        os._exit(0)  # nobody will ask again, nor hear what is being worked on


def main(arguments: Sequence[str]) -> int:
    """Load, say `Ready`, answer; returns only where there is nothing to serve with."""
    if len(arguments) != 2:
        print("usage: python -m engine.answerer RUN ADAPTER   (people use: danlu chat)", file=sys.stderr)
        return LEFT
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not come between the replies
    say = _speaker(pipe)
    inbox = Inbox(sys.stdin.buffer)
    run, adapter = RunDirectory(Path(arguments[0])), Path(arguments[1])
    try:
        say(events.Phase(name="import"))
        from engine.trained import Trained

        trained = Trained(run, adapter, read_resolved(run.config), say)
        say(trained.ready())
    except Exception as error:
        say(_refused("", error))
        return 1
    while True:
        request = inbox.take()
        try:
            trained.answer(request, partial(inbox.is_halted, request))
            say(answers.Done(id=request.id))
        except Exception as error:
            say(_refused(request.id, error))


def _speaker(pipe: BinaryIO) -> Callable[[answers.Reply], None]:
    """A reader that has gone ends the process: there is nobody to work for."""

    def say(reply: answers.Reply) -> None:
        try:
            pipe.write(answers.encode(reply))
        except BrokenPipeError:
            os._exit(0)

    return say


def _refused(id: str, error: Exception) -> answers.Refused:
    """One message; for what is our own defect the traceback goes to stderr."""
    if isinstance(error, DanluError):
        return answers.refusal(id, error)
    from engine.out_of_memory import is_out_of_memory, out_of_memory_words  # imports torch, which takes seconds

    if is_out_of_memory(error):
        words = out_of_memory_words(error)
        reason = f"out of memory ({words}); stop what else uses this device, or ask for fewer tokens"
        return answers.Refused(id=id, reason=reason, code="out_of_memory", facts={"words": words})
    traceback.print_exception(error)
    return answers.Refused(id=id, reason=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # threads of native libraries must not delay the end

"""What may interrupt the loop: commands from consoles, and signals.

SIGHUP is ignored (the terminal may go), the first SIGTERM or SIGINT asks to stop after this step, a second one stops now.
SIGUSR1 is the supervisor's way to pass one on, counted apart: a service manager signals both, and one stop is not two.
SIGUSR2 writes the stacks of all threads into engine.log.
Reads commands; does not carry them out (`engine.trainer` does).
"""

import faulthandler
import signal
import sys
import time
from collections import deque

from engine import commands, events
from engine.queue import Tail
from engine.run_directory import RunDirectory

POLL_S = 0.2
"""How often long work (evaluation, generation) looks for a stop; between steps the loop always looks."""


class StopNow(BaseException):
    """A second signal: leave at once, without a checkpoint. No Exception, so that nothing on the way catches it."""


class Control:
    """Pending commands in the order they came, and whether the run has been asked to end."""

    def __init__(self, run: RunDirectory):
        """Commands answered before this start are passed over; unanswered ones from before are `stale`."""
        self.signalled = False
        self._signals: set[str] = set()
        self._tail = Tail(run.commands, commands.decode)
        self._pending: deque[commands.Command] = deque()
        self._looked = 0.0
        answered = {event.id for event in _all_events(run) if isinstance(event, events.CommandDone)}
        self.stale = [command for command in self._tail.read() if command.id not in answered]

    @property
    def own(self) -> "Control":
        """What this process alone hears; in a run of several ranks the loop's control is a shared one."""
        return self

    def install_signals(self) -> None:
        """Only the main thread may call this."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_signal)
        faulthandler.register(signal.SIGUSR2, sys.__stderr__, all_threads=True)

    def take(self) -> commands.Command | None:
        """The next command, or None."""
        self._look()
        return self._pending.popleft() if self._pending else None

    def interrupted(self) -> bool:
        """Whether long work should give up: a signal or a waiting stop command. Cheap enough to ask for every token."""
        if time.monotonic() - self._looked > POLL_S:
            self._look()
        return self.signalled or any(command.type == "stop" for command in self._pending)

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._pending.extend(self._tail.read())

    def _on_signal(self, number: int, frame: object) -> None:
        kind = "passed on" if number == signal.SIGUSR1 else "direct"
        if kind in self._signals:
            raise StopNow
        self._signals.add(kind)
        self.signalled = True


def _all_events(run: RunDirectory) -> list[events.Event | events.Unknown]:
    tail, found = Tail(run.events, events.decode), []
    while batch := tail.read():
        found.extend(batch)
    return found

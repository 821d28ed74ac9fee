"""Follows one run: what is new in its events, and whether its engine lives. It only reads.

`Follower` is the reading, for anyone; `FollowThread` does it in the background for a screen, at most four times a second.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine import events
from engine.queue import Tail
from engine.run_directory import RunDirectory
from tui.fold import RunState, fold_all

LIVE_POLL_S = 0.25
"""Four redraws a second are fluent to read and keep a live run under 3 KB/s over SSH."""
REST_POLL_S = 1.0
LIVENESS_EVERY_S = 1.0
"""Asking holds the lock for an instant; once a second is soon enough to notice a death."""
START_PATIENCE_S = 20.0
"""An engine that was just launched takes its lock only after Python has started, seconds on a cold disk."""
LOG_TAIL_BYTES = 8192

Read = list[events.Event | events.Unknown]


class Follower:
    """One reader of a run. `poll` gives what is new; `ended` says when nothing more will come."""

    def __init__(self, run: RunDirectory, just_launched: bool = False):
        """just_launched: wait for an engine that has not taken its lock yet, for START_PATIENCE_S at most."""
        self.run = run
        self.is_alive = run.is_alive()
        """Whether an engine held the lock when that was last asked."""
        self._tail = Tail(run.events, events.decode)
        self._asked = time.monotonic()
        self._patient_until = self._asked + (START_PATIENCE_S if just_launched else _patience_left(run))
        self._has_read_all = False

    @property
    def is_starting(self) -> bool:
        """Whether a launched engine is still awaited."""
        return not self.is_alive and time.monotonic() < self._patient_until

    @property
    def ended(self) -> bool:
        """No engine lives, none is awaited, and every event it wrote has been handed out."""
        return self._has_read_all and not self.is_alive and not self.is_starting

    @property
    def was_replaced(self) -> bool:
        """Whether the log is shorter than what was read of it: it was begun anew, and so must its reader."""
        return _size(self.run.events) < self._tail.offset

    def poll(self) -> Read:
        """All events since the last poll, [] when there are none. Never waits."""
        # Asked before reading, so that a last word written in between is never overtaken by "dead".
        if time.monotonic() - self._asked >= LIVENESS_EVERY_S:
            self.is_alive, self._asked = self.run.is_alive(), time.monotonic()
        if self.is_alive:
            self._patient_until = 0.0
        new: Read = []
        while _size(self.run.events) > self._tail.offset and (batch := self._tail.read()):
            new += batch
        self._has_read_all = True
        return new


@dataclass(frozen=True)
class Replayed:
    """All events so far, folded. From now on the state belongs to its receiver."""

    state: RunState
    is_alive: bool
    is_starting: bool


@dataclass(frozen=True)
class Progress:
    """What came since, or only that the engine's life has changed."""

    events: Read
    is_alive: bool
    is_starting: bool


Update = Replayed | Progress


class FollowThread:
    """`start` it, receive updates in `receive` (called in the thread), `stop` it."""

    def __init__(self, run: RunDirectory, receive: Callable[[Update], None], just_launched: bool = False):
        self.run = run
        self._receive = receive
        self._just_launched = just_launched
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"follow {run.name}", daemon=True)

    def start(self) -> None:
        """Begin with the replay."""
        self._thread.start()

    def stop(self) -> None:
        """No update is handed over after the one on its way."""
        self._stopping.set()

    def _follow(self) -> None:
        follower = Follower(self.run, self._just_launched)
        while not self._stopping.is_set():
            self._receive(Replayed(fold_all(RunState(), follower.poll()), follower.is_alive, follower.is_starting))
            self._watch(follower)
            follower = Follower(self.run)

    def _watch(self, follower: Follower) -> None:
        """Hand over what is new until stopped, or until the log was begun anew."""
        life = follower.is_alive, follower.is_starting
        while not self._stopping.wait(LIVE_POLL_S if any(life) else REST_POLL_S):
            if follower.was_replaced:
                return
            new = follower.poll()
            before, life = life, (follower.is_alive, follower.is_starting)
            if new or life != before:
                self._receive(Progress(new, *life))


def engine_log_tail(run: RunDirectory, lines: int = 8) -> list[str]:
    """The last lines of the engine's raw output, [] when there is none. Not gated."""
    try:
        with open(run.engine_log, "rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - LOG_TAIL_BYTES)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    found = text.splitlines()[1 if start else 0 :]
    return [line for line in found if line.strip()][-lines:]


def _patience_left(run: RunDirectory) -> float:
    """Seconds to wait for the first word of a run made moments ago, perhaps by another process."""
    if run.events.exists():
        return 0.0
    try:
        return START_PATIENCE_S - (time.time() - run.engine_log.stat().st_mtime)
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

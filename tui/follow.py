"""Follows one run: what is new in its events, and whether its engine lives. It only reads.

`Follower` is the reading, for anyone; `FollowThread` does it in the background for a screen, at most four times a second.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine import events
from engine.processes import state_of as process_state
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
LAST_WORD_S = 2.0
"""So long after an engine's death its supervisor may still be writing why."""
SILENT_S = 60.0
"""An engine tells the machine's load every two seconds, whatever else it does; a long call into native code may hold that up."""
HALTED_S = 10.0
"""The same for one that the kernel says is stopped."""
SILENCE_GRAIN_S = 15

@dataclass(frozen=True)
class Silence:
    """seconds: without a word of a live engine, in steps; 0 while it speaks.  process: the kernel's letter for it (T: halted)."""

    seconds: int = 0
    process: str = ""


NO_SILENCE = Silence()
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
        self._died: float | None = None if self.is_alive else self._asked - LAST_WORD_S
        """When the engine was first seen gone."""
        self._has_last_word = False
        self.silence = NO_SILENCE

    @property
    def is_starting(self) -> bool:
        """Whether a launched engine is still awaited."""
        return not self.is_alive and time.monotonic() < self._patient_until

    @property
    def ended(self) -> bool:
        """No engine lives, none is awaited, and every event it wrote has been handed out."""
        return self._has_read_all and not self.is_alive and not self.is_starting and not self._awaits_last_word

    @property
    def _awaits_last_word(self) -> bool:
        return self._died is not None and not self._has_last_word and time.monotonic() - self._died < LAST_WORD_S

    @property
    def was_replaced(self) -> bool:
        """Whether the log is shorter than what was read of it: it was begun anew, and so must its reader."""
        return _size(self.run.events) < self._tail.offset

    def poll(self) -> Read:
        """All events since the last poll, [] when there are none. Never waits."""
        # Asked before reading, so that a last word written in between is never overtaken by "dead".
        if time.monotonic() - self._asked >= LIVENESS_EVERY_S:
            self._ask()
        if self.is_alive:
            self._patient_until = 0.0
        new: Read = []
        while _size(self.run.events) > self._tail.offset and (batch := self._tail.read()):
            new += batch
        if new:
            self._has_last_word = isinstance(new[-1], events.EngineStopped)
        self._has_read_all = True
        return new

    def _ask(self) -> None:
        """Whether the engine lives, and whether it speaks. One that has just gone counts as alive until its last word is there."""
        holder, self._asked = self.run.holder(), time.monotonic()
        if holder is not None:
            self._died = None
        elif self._died is None:
            self._died = self._asked
        self.is_alive = holder is not None or self._awaits_last_word
        self.silence = silence_of(self.run, holder) if holder else NO_SILENCE


def silence_of(run: RunDirectory, holder: int) -> Silence:
    """How long the engine with that process id has said nothing."""
    try:
        quiet_s = time.time() - run.events.stat().st_mtime
    except OSError:
        return NO_SILENCE
    process = process_state(holder) if quiet_s >= HALTED_S else ""
    if quiet_s < (HALTED_S if process == "T" else SILENT_S):
        return NO_SILENCE
    return Silence(int(quiet_s // SILENCE_GRAIN_S) * SILENCE_GRAIN_S or int(HALTED_S), process)


@dataclass(frozen=True)
class Replayed:
    """All events so far, folded. From now on the state belongs to its receiver."""

    state: RunState
    is_alive: bool
    is_starting: bool
    silence: Silence = NO_SILENCE


@dataclass(frozen=True)
class Progress:
    """What came since, or only that the engine's life has changed."""

    events: Read
    is_alive: bool
    is_starting: bool
    silence: Silence = NO_SILENCE


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
            self._receive(Replayed(fold_all(RunState(), follower.poll()), follower.is_alive, follower.is_starting, follower.silence))
            self._watch(follower)
            follower = Follower(self.run)

    def _watch(self, follower: Follower) -> None:
        """Hand over what is new until stopped, or until the log was begun anew."""
        life = follower.is_alive, follower.is_starting, follower.silence
        while not self._stopping.wait(LIVE_POLL_S if any(life[:2]) else REST_POLL_S):
            if follower.was_replaced:
                return
            new = follower.poll()
            before, life = life, (follower.is_alive, follower.is_starting, follower.silence)
            if new or life != before:
                self._receive(Progress(new, *life))


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

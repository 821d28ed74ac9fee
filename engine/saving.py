"""When a run saves, and what it does when the disk refuses: a full disk is waited for, any other refusal is told and tried again.

Not here: what is in a checkpoint (`engine.checkpoint`), how it gets onto the disk (`engine.manifest`).
"""

import time
from collections.abc import Callable

from engine import config as schema
from engine import events
from engine.control import Control
from engine.errors import DiskFull, EnvironmentFault
from engine.reporter import Reporter

LOOK_AGAIN_S = 2.0
"""How often a run that waits for room looks whether there is some."""


class Saving:
    """Which step was saved last and when; saves patiently."""

    def __init__(self, settings: schema.Checkpoint, control: Control, reporter: Reporter, saved_step: int | None):
        """saved_step: the step of the checkpoint the run goes on from, None for a fresh one."""
        self._settings, self._control, self._reporter = settings, control, reporter
        self.saved_step, self._tried = saved_step, time.monotonic()

    def is_time(self) -> bool:
        """Whether `checkpoint.every_minutes` have passed since the last try."""
        return 0 < self._settings.every_minutes * 60 <= time.monotonic() - self._tried

    def save(self, step: int, write: Callable[[], events.Event], must: bool = False, waits: bool = True) -> bool:
        """`write` the checkpoint of `step` and tell its event, unless that is already saved; return whether it is saved now.

        While the disk is full the run waits, until there is room or somebody asks it to stop. Another refusal is told and
        left for the next time. must: there is no next time, so it is raised.  waits: False raises at once. Raises EnvironmentFault.
        """
        if self.saved_step == step:
            return True
        self._reporter.emit(events.Phase(name="save"))
        try:
            self._reporter.emit(self.when_there_is_room(write) if waits else write())
            self.saved_step = step
        except EnvironmentFault as error:
            if must:
                raise
            self._reporter.warn("not_saved", f"step {step} was not saved: {error}; training goes on and saves again when it is due")
        self._tried = time.monotonic()
        self._reporter.emit(events.Phase(name="train"))
        return self.saved_step == step

    def when_there_is_room(self, write: Callable[[], events.Event]) -> events.Event:
        """What `write` returns, once the disk has room. Raises DiskFull only when the run was asked to stop meanwhile."""
        told = False
        while True:
            try:
                return write()
            except DiskFull as error:
                if self._control.interrupted():
                    raise
                if not told:
                    self._reporter.warn("disk_full", f"{error}; the run waits and goes on by itself when there is room")
                    self._reporter.emit(events.Phase(name="pause", detail="the disk is full"))
                    told = True
            _wait(LOOK_AGAIN_S, self._control.interrupted)


def _wait(seconds: float, interrupted: Callable[[], bool]) -> None:
    """Sleep, in pieces short enough to notice a stop at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not interrupted():
        time.sleep(0.05)

"""Notices an engine that makes no progress: a patience for each phase, one warning, and the stacks of all threads in engine.log.

It ends nothing: a slow disk is no reason to lose a run, and `danlu stop RUN --now` is there for a person to use. An engine so
stuck that no thread of it runs cannot warn; consoles notice its silence themselves (`tui.follow`).
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable

from engine import events

PATIENCE_S = {
    "import": 120.0, "fetch": 180.0, "load": 600.0, "tokenise": 300.0, "probe": 600.0, "train": 300.0, "evaluate": 300.0, "save": 300.0,
}  # fmt: skip
"""Seconds a phase may go without an event of its own. Pauses have none."""
STEPS_OF_PATIENCE = 10
"""A step may take so many times as long as the longest one so far, where that is more."""
LOOK_EVERY_S = 1.0


class Watchdog:
    """Told of every event by `saw`; `look` warns once when there has been none for too long, and once when it goes on."""

    def __init__(self, warn: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic):
        self._warn, self._clock = warn, clock
        self._phase = ""
        self._last = clock()
        self._longest_step_s = 0.0
        self._has_warned = False
        self._stop = threading.Event()

    def start(self) -> None:
        """Look every second from a thread of its own, until `stop`."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def saw(self, event: events.Event) -> None:
        """Progress; the machine's load and warnings are none."""
        if isinstance(event, events.Hardware | events.Warning):
            return
        if isinstance(event, events.Phase):
            self._phase = event.name
        elif isinstance(event, events.Step):
            self._longest_step_s = max(self._longest_step_s, event.step_s)
        elif isinstance(event, events.Paused):
            self._phase = "pause" if event.paused else "train"
        stuck_s, self._last = self._clock() - self._last, self._clock()
        if self._has_warned:
            self._has_warned = False
            self._warn("went_on", f"it goes on after {stuck_s:.0f} s without progress")

    def look(self) -> None:
        """Warn when the phase's patience is over."""
        stuck_s, patience_s = self._clock() - self._last, self._patience_s()
        if self._has_warned or patience_s is None or stuck_s < patience_s:
            return
        self._has_warned = True
        self._warn(
            "stalled",
            f"no progress in phase {self._phase} for {stuck_s:.0f} s; where it stands is in engine.log. If it does not go on: "
            "danlu stop RUN --now, then danlu resume RUN",
        )
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)

    def _patience_s(self) -> float | None:
        """None: for as long as it takes."""
        patience_s = PATIENCE_S.get(self._phase)
        return max(patience_s, STEPS_OF_PATIENCE * self._longest_step_s) if patience_s is not None else None

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()

"""What a rank reports to: every event is a sign of life, and only those of the first rank are written down."""

import threading
from collections.abc import Callable

from engine import events
from engine.pulse import Pulse
from engine.reporter import HARDWARE_EVERY_S, Reporter


class RankReporter:
    """Stands where a `Reporter` stands. The last word is the launcher's, who knows how the other ranks ended."""

    def __init__(self, pulse: Pulse, reporter: Reporter | None):
        """reporter: of the first rank, None for the others."""
        self._pulse, self._reporter = pulse, reporter
        self.load: events.Hardware | None = None
        """The machine's load when it was last measured."""

    def emit(self, event: events.Event) -> None:
        """A beat, and on the first rank the event."""
        self._pulse.beat(event.name if isinstance(event, events.Phase) else None, getattr(event, "step", None))
        if self._reporter is not None:
            self._reporter.emit(event)

    def warn(self, code: str, text: str) -> None:
        """A warning, on the first rank; what every rank notices is said once."""
        self.emit(events.Warning(code=code, text=text))

    def watch_hardware(self, measure: Callable[[], events.Hardware]) -> None:
        """Measure every few seconds; the first rank also writes it down."""

        def remembered() -> events.Hardware:
            self.load = measure()
            return self.load

        if self._reporter is not None:
            self._reporter.watch_hardware(remembered)
        else:
            threading.Thread(target=_keep, args=(remembered,), name="hardware", daemon=True).start()

    def open_tensorboard(self) -> None:
        """On the first rank. Raises EnvironmentFault when it isn't installed."""
        if self._reporter is not None:
            self._reporter.open_tensorboard()

    def close(self) -> None:
        """Close the first rank's queue without a last word."""
        if self._reporter is not None:
            self._reporter.close(None)


def _keep(measure: Callable[[], events.Hardware]) -> None:
    pause = threading.Event()
    while not pause.wait(HARDWARE_EVERY_S):
        measure()

"""Everything the engine says goes through here: the event queue, training.log, and TensorBoard where asked for.

Nothing in it raises into the training loop.
"""

import sys
import threading
from collections.abc import Callable, Collection

from engine import events
from engine.card_watch import CardWatch
from engine.errors import EnvironmentFault
from engine.queue import EventWriter
from engine.run_directory import RunDirectory
from engine.training_log import TrainingLog
from engine.watchdog import Watchdog

HARDWARE_EVERY_S = 2.0
SCALARS = (
    "loss", "thinking_loss", "answer_loss", "perplexity", "accuracy", "thinking_accuracy", "answer_accuracy",
    "learning_rate", "grad_norm", "tokens_per_s",
)  # fmt: skip
"""Fields of steps and evaluations that go to TensorBoard."""


class Reporter:
    """Emits events; `watch_hardware` adds the machine's load from a thread of its own."""

    def __init__(self, run: RunDirectory):
        self._run = run
        self._writer = EventWriter(run.events)
        self.watchdog = Watchdog(self.warn)
        self._cards = CardWatch(self.warn)
        self._log = TrainingLog(run.training_log)
        self._board: Callable[[events.Event], None] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, event: events.Event) -> None:
        """Append to the queue and the log."""
        self.watchdog.saw(event)
        self._writer.emit(event)
        self._log.write(event)
        if self._board is not None:
            self._draw(self._board, event)

    def _draw(self, board: Callable[[events.Event], None], event: events.Event) -> None:
        """TensorBoard's own thread writes, and what stopped it (a full disk) is raised here at the next event."""
        try:
            board(event)
        except Exception as error:
            self._board = None
            self.warn("tensorboard_lost", f"TensorBoard gets no more points, the run goes on: {type(error).__name__}: {error}")

    def warn(self, code: str, text: str) -> None:
        """Emit a warning event."""
        self.emit(events.Warning(code=code, text=text))

    def watch_hardware(self, measure: Callable[[], events.Hardware]) -> None:
        """Emit `measure()` every few seconds until `close`; a GPU that disappears ends the watching, not the run.

        It is also the engine's sign of life. Only the first call begins it.
        """
        if self._thread is not None:
            return

        def watch() -> None:
            while not self._stop.wait(HARDWARE_EVERY_S):
                try:
                    load = measure()
                    self._writer.emit(load)
                    self._cards.look(load.gpus)
                except Exception as error:
                    self.warn("hardware_lost", f"the machine's load can no longer be read: {error}")
                    return

        self._thread = threading.Thread(target=watch, name="hardware", daemon=True)
        self._thread.start()

    def watch_cards(self, cards: Collection[int]) -> None:
        """Tell when one of these GPUs, by NVML index, is held back or falls silent."""
        self._cards.watch(cards)

    def open_tensorboard(self) -> None:
        """Write TensorBoard files into the run directory from now on. Raises EnvironmentFault when it isn't installed or cannot write."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise EnvironmentFault("track.tensorboard = true needs TensorBoard; install it with: pip install tensorboard") from error
        folder = self._run.path / "tensorboard"
        try:
            writer = SummaryWriter(str(folder))
        except OSError as error:
            raise EnvironmentFault(f"{folder}: {error.strerror}; free space, or set track.tensorboard = false") from error

        def record(event: events.Event) -> None:
            if isinstance(event, events.Step | events.Eval):
                prefix = "train" if isinstance(event, events.Step) else "eval"
                for name in SCALARS:
                    if (value := getattr(event, name, None)) is not None:
                        writer.add_scalar(f"{prefix}/{name}", value, event.step)
                writer.flush()

        self._board = record

    def close(self, last: events.EngineStopped | None) -> None:
        """Stop the hardware thread, say the last word and close the queue; None where it is another process's to say."""
        self._stop.set()
        self.watchdog.stop()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if last is not None:
            self.emit(last)
        if lost := self._writer.close():
            print(f"{lost} events could not be written: {self._run.events}: the disk takes nothing", file=sys.stderr)

"""Long work of a screen in a thread: it tells what it finds, shows how far it is, and can be stopped. At most one of a kind at a time."""

import time
from collections.abc import Callable

from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from data.errors import DanluError
from tui.screens.data_loading import Stage

TOLD_EVERY_S = 0.2


class Stopped(Exception):
    """Raised through work that was stopped."""


class Job:
    """stage: what is being done, None when nothing is.  is_stopped: whether the last work ended before its time."""

    class Told(Message):
        """An update of the work, or the error that ended it: a DanluError, an OSError or `Stopped`."""

        def __init__(self, job: "Job", update: object):
            super().__init__()
            self.job, self.update = job, update

    def __init__(self, screen: Screen, name: str):
        self._screen, self._name = screen, name
        self._number = 0
        self.stage: Stage | None = None
        self.is_stopped = False

    def start(self, stage: Stage, work: Callable[[Callable[[object], None]], None]) -> None:
        """Run `work` with a function that takes its updates and raises `Stopped` when it is to end; earlier work is stopped."""
        self._number += 1
        number = self._number
        self.stage, self.is_stopped = stage, False
        self._screen.run_worker(lambda: self._run(number, work), thread=True, exclusive=True, group=self._name)

    def stop(self) -> None:
        self._screen.workers.cancel_group(self._screen, self._name)

    def take(self, update: object) -> None:
        """Keep what an update says of the work itself; called by the screen for each `Told`."""
        if isinstance(update, Stage):
            self.stage = update
        elif isinstance(update, Exception):
            self.stage, self.is_stopped = None, isinstance(update, Stopped)

    def end(self) -> None:
        """The work is done."""
        self.stage = None

    def _run(self, number: int, work: Callable[[Callable[[object], None]], None]) -> None:
        """In the thread: post every finding, progress a few times a second."""
        worker = get_current_worker()
        last = ("", 0.0)

        def tell(update: object) -> None:
            nonlocal last
            if worker.is_cancelled:
                raise Stopped
            if isinstance(update, Stage):
                now = time.monotonic()
                if update.name == last[0] and now - last[1] < TOLD_EVERY_S:
                    return
                last = (update.name, now)
            self._post(number, update)

        try:
            work(tell)
        except (DanluError, OSError, Stopped) as error:
            self._post(number, error)

    def _post(self, number: int, update: object) -> None:
        """What work that was replaced finds is late and means nothing."""
        if number == self._number:
            self._screen.post_message(self.Told(self, update))

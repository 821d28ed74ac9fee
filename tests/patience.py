"""Patience that a busy machine does not use up: seconds count only as far as this machine had a core for whoever wanted one.

A test that fails on a quiet machine after two minutes takes twenty where ten processes share each core; it is slow, never wrong.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

PATIENCE_S = 120.0
LOOK_EVERY_S = 0.02
T = TypeVar("T")


class Patience:
    """So many seconds of a quiet machine."""

    def __init__(self, seconds: float = PATIENCE_S):
        self._left, self._looked = seconds, time.monotonic()

    def is_over(self) -> bool:
        """Whether they have passed; to be asked often, because the load is looked at each time."""
        now = time.monotonic()
        self._left -= (now - self._looked) * share_of_a_core()
        self._looked = now
        return self._left < 0


def share_of_a_core() -> float:
    """What one process of this one's niceness gets of a core at this moment: 1 on a quiet machine, never 0."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].partition("/")[0])
    except OSError:
        return 1.0
    weight = 1.25 ** max(0, os.nice(0))  # the scheduler's ratio between two neighbouring nice values
    return min(1.0, (os.cpu_count() or 1) / (1 + max(0, running - 1) * weight))


def wait_until(condition: Callable[[], T], what: str | Callable[[], str], patience_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`, asked again and again. Fails loudly when patience is over.

    what: is waited for; a function says it as it is in the end.
    """
    patience = Patience(patience_s)
    while not (value := condition()):
        if patience.is_over():
            raise AssertionError(f"waited {patience_s:.0f} s of a quiet machine in vain for {what if isinstance(what, str) else what()}")
        time.sleep(LOOK_EVERY_S)
    return value


def ended(process: subprocess.Popen, what: str, patience_s: float = PATIENCE_S) -> int:
    """The exit code of `process`, waited for."""
    wait_until(lambda: process.poll() is not None, f"the end of {what}", patience_s)
    return process.returncode


def run_to_end(command: Sequence[str], patience_s: float = PATIENCE_S, **options: Any) -> subprocess.CompletedProcess:
    """As `subprocess.run` with its output captured, stdin empty and no deadline but patience."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process, patience = subprocess.Popen(list(command), **pipes | options), Patience(patience_s)
    try:
        while True:
            try:
                output, errors = process.communicate(timeout=0.1)
                return subprocess.CompletedProcess(list(command), process.returncode, output, errors)
            except subprocess.TimeoutExpired:
                assert not patience.is_over(), f"waited {patience_s:.0f} s of a quiet machine in vain for {' '.join(command)[:200]}"
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()

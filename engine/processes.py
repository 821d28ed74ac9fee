"""One other process: in which state it is, and how to end it for sure without ever hitting a stranger that got its number."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from engine import host
from engine.run_directory import RunDirectory

GRACE_S = 10.0
POLL_S = 0.05


def state_of(pid: int) -> str:
    """The kernel's letter: R runs, S sleeps, D waits for a disk, T is stopped, Z has ended; "" for none or where /proc is not."""
    words = host.read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return words[0] if words else ""


def end_engine(run: RunDirectory, grace_s: float = GRACE_S) -> bool:
    """End the engine of `run` now: two signals ask it to, then it is killed. Returns whether it had to be killed.

    The process is held by a handle that stays its own, and the lock is asked once more after the handle is there: a number that
    meanwhile belongs to another process is never signalled. What it was doing is written into engine.log before the kill.
    """
    pid = run.holder()
    handle = _open(pid)
    if not pid or run.holder() != pid:
        return False
    for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGTERM):
        _signal(handle, pid, number)
        _wait(lambda: not run.is_alive(), 0.3)
    if _wait(lambda: not run.is_alive(), grace_s):
        return False
    for number in (signal.SIGUSR2, signal.SIGKILL):
        _signal(handle, pid, number)
        _wait(lambda: not run.is_alive(), 0.5)
    _wait(lambda: not run.is_alive(), grace_s)
    return True


def _open(pid: int | None) -> int | None:
    if not pid or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _signal(handle: int | None, pid: int, number: int) -> None:
    try:
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return held

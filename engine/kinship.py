"""Ties between processes that the kernel keeps: nobody outlives a parent, and nobody's orphan gets lost. Linux; elsewhere nothing."""

import contextlib
import ctypes
import signal
import sys

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent() -> None:
    """From now on this process is killed when its parent ends, however that ends (torchrun's workers otherwise live on)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Descendants whose parent ends become children of this process, so that `end_descendants` finds them."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def descendants() -> set[int]:
    """Process ids of children, their children and so on."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def end_descendants(spared: set[int], patience_s: float = 5.0) -> None:
    """Kill every descendant that is not `spared` and wait until none is left; one stuck in the kernel is left after `patience_s`."""
    for _ in range(10):  # one that was just starting another may have been missed
        found = [process for process in psutil.Process().children(recursive=True) if process.pid not in spared]
        if not found:
            return
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=patience_s / 10)  # collects adopted ones too


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)

"""Watches memory between the steps of a run and acts before it fails: first gives back what lies idle, then steps down the ladder.

A CPU run that meets its limit is killed without a word, and on a GPU other programs come and go, so waiting for the error is no plan.
What can be given up without changing a result is `engine.memory_ladder`.
"""

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from data.user_folders import state_folder
from engine import host
from engine.certainty import remember
from engine.forecast import CUDA_RUNTIME_GIB, GIB

RESERVE_GIB = 0.3
"""Kept free beyond what the next step needs: other programs, page tables, the console."""
LEAST_GIB = 1.0
"""A smaller run is mostly libraries and teaches nothing about models."""
LIKELY = (0.7, 1.4)
"""Ratios of measured to forecast that training explains; outside it the peak was something else, such as converting a model."""
CALM_STEPS = 10
"""Steps after an action before the next one, so that its effect is seen first."""


@dataclass(frozen=True)
class Reading:
    """In GiB. available: what can still be taken.  held: by this run between steps.  peak: the most it has held within one."""

    available: float
    held: float
    peak: float

    @property
    def is_high(self) -> bool:
        """Whether the next step, if it needs what the hungriest one did, would leave less than the reserve."""
        return self.peak - self.held + RESERVE_GIB > self.available


class Pressure:
    """Asked before every step; looks at most every `every_s` seconds, as a look takes 0.4 ms."""

    def __init__(self, read: Callable[[], Reading], warn: Callable[[str, str], None], every_s: float = 1.0):
        self._read, self._warn, self._every_s = read, warn, every_s
        self._next = 0.0
        self._calm = 0
        self._share = 1.0

    def is_high(self) -> bool:
        """Whether something must be given up now, after what lies idle was given back."""
        if self._calm > 0:
            self._calm -= 1
            return False
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + self._every_s
        if not self._now().is_high:
            return False
        give_back()
        return self._now().is_high

    def act(self, can_step_down: bool, step_down: Callable[[str], None]) -> None:
        """Step down where that is possible, else say what is coming. step_down: takes the words for what was seen."""
        self._calm = CALM_STEPS
        seen = self._now()
        words = f"{seen.available:.1f} GiB are left on this machine and the next step may need {seen.peak - seen.held:.1f}"
        if can_step_down:
            self._share /= 2
            step_down(words)
        else:
            self._warn("memory_pressure", f"memory runs short: {words}; close other programs, or stop and resume later")

    def _now(self) -> Reading:
        """The reading with what stepping down has already saved."""
        seen = self._read()
        return Reading(seen.available, seen.held, seen.held + (seen.peak - seen.held) * self._share)


def read(device: torch.device) -> Reading:
    """Memory of the device that trains, as it is now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_allocated(device) / GIB
        idle = torch.cuda.memory_reserved(device) / GIB - held
        return Reading(free / GIB + idle, held, torch.cuda.max_memory_allocated(device) / GIB)
    return Reading(host.read_memory().available_gib, psutil.Process().memory_info().rss / GIB, peak_resident_gib())


def peak_gib(device: torch.device) -> float:
    """Highest memory of this process so far, comparable with the forecast: reserved on the GPU with its context, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / GIB + CUDA_RUNTIME_GIB
    return peak_resident_gib()


def remember_peak(device: torch.device, forecast_gib: float) -> None:
    """Tell later forecasts for `device` what a run of `forecast_gib` really took; a ratio that no forecast explains is left out."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else host.read_cpu().name
    measured = peak_gib(device)
    if forecast_gib > LEAST_GIB and LIKELY[0] < measured / forecast_gib < LIKELY[1]:
        remember(state_folder(), name, forecast_gib, measured)


def peak_resident_gib() -> float:
    """Of this program. `ru_maxrss` would count what the process held before it became this program: its parent's memory."""
    try:
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (GIB if sys.platform == "darwin" else 2**20)
    return int(peak.split()[1]) / 2**20


def give_back() -> None:
    """Return idle memory to the system: dead cycles, the GPU allocator's cache, glibc's heap."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return

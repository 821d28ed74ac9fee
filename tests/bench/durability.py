"""`python -m tests.bench.durability [MODEL_FOLDER DATA]`: what recovery and safety cost of a training step, as CPU time of its own thread.

Without arguments a tiny random model is trained, whose steps are so short that the share is the largest there is; budget 1 %.
Saves are told apart: how often they come is configured. Not here: speed of training (`tests.bench.training`).
"""

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from engine import host, trainer
from engine.bad_numbers import NumberWatch
from engine.pressure import Pressure
from engine.reporter import Reporter
from engine.saving import Saving
from tests.engine_runs import make_run, train_here, write_records
from tests.faults.byte_model import write_byte_model
from tests.faults.runs import SETTINGS

STEPS = 200
WATCHED = (
    ("events: redacted, numbered, written, logged", Reporter, "emit"),
    ("commands and signals", trainer, "obey_commands"),
    ("numbers that are none, spikes", NumberWatch, "see"),
    ("memory pressure", Pressure, "is_high"),
    ("the clock of saves", Saving, "is_time"),
    ("one save, synced and read back", trainer.Trainer, "save"),
    ("the step itself", trainer.Trainer, "_train_step"),
)


class Stopwatch:
    """CPU nanoseconds of this thread by name; calls inside a watched call count for the outer one only."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = defaultdict(int)
        self.calls: dict[str, int] = defaultdict(int)
        self._is_inside = False

    def watch(self, name: str, holder: Any, method: str) -> None:
        """Put this watch around `holder.method`."""
        real = getattr(holder, method)

        def watched(*arguments: Any, **options: Any) -> Any:
            return real(*arguments, **options) if self._is_inside else self._timed(name, lambda: real(*arguments, **options))

        setattr(holder, method, watched)

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:
        self._is_inside, began = True, time.thread_time_ns()
        try:
            return call()
        finally:
            self.spent[name] += time.thread_time_ns() - began
            self.calls[name] += 1
            self._is_inside = False


def main(arguments: list[str]) -> int:
    """Train, print the table; 1 when the budget is exceeded."""
    watch = Stopwatch()
    for name, holder, method in WATCHED:
        watch.watch(name, holder, method)
    with tempfile.TemporaryDirectory(prefix="danlu-bench-") as folder, open(os.devnull, "w") as null, redirect_stderr(null):
        place = Path(folder)
        model = Path(arguments[0]) if arguments else write_byte_model(place / "model")
        data = Path(arguments[1]) if arguments else write_records(place / "records.jsonl")
        steps = 10 if arguments else STEPS
        settings = SETTINGS | {"train": {"max_steps": steps}, "checkpoint": {"every_steps": steps // 4}}
        train_here(make_run(place, model, data, "run", **settings))
    return _tell(watch, steps)


def _tell(watch: Stopwatch, steps: int) -> int:
    *watched, (save, *_), (step, *_) = WATCHED
    step_us = watch.spent[step] / steps / 1e3
    print(f"{host.read_cpu().name}, load {os.getloadavg()[0]:.1f}; {steps} steps of {step_us / 1e3:.1f} ms CPU, one thread")
    total = 0.0
    for name, *_ in watched:
        each = watch.spent[name] / steps / 1e3
        total += each
        print(f"{name:<46} {each:8.1f} µs a step  {each / step_us:8.3%}")
    print(f"{'all of it':<46} {total:8.1f} µs a step  {total / step_us:8.3%}  budget 1 %")
    print(f"{save:<46} {watch.spent[save] / max(1, watch.calls[save]) / 1e3:8.1f} µs")
    return int(total > 0.01 * step_us)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

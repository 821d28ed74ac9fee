"""The frame of every fault: a seed, a folder, a clock, and the count of what was put in, survived and lost."""

import contextlib
import importlib
import multiprocessing
import os
import pkgutil
import random
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from tests import faults
from tests.patience import Patience

LANES = min(2, os.cpu_count() or 1)
"""Faults at a time. Their patience and budgets count only as far as a core was there for them."""


class NotHere(Exception):
    """This machine cannot show the fault (no GPU, no second core, not root …); the text says why."""


@dataclass
class Bench:
    """What one fault works with. random: seeded by run and fault.  folder: empty and its own.  shared: kept for all faults of
    a call, for what is dear to make (a tiny model, an undisturbed run).  quick: the subset inside `make test`.
    budget: what the fault may take on quiet cores; a busy machine does not use it up."""

    name: str
    seed: int
    folder: Path
    shared: Path
    quick: bool
    budget: Patience
    injected: int = 0
    survived: int = 0
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed} {self.name}")

    @contextlib.contextmanager
    def injection(self, what: str) -> Iterator[None]:
        """One fault put in. Whatever the body raises, an assertion above all, is a loss; the harness goes on."""
        self.injected += 1
        try:
            yield
            self.survived += 1
        except NotHere:
            self.injected -= 1
            raise
        except (Exception, pytest.fail.Exception) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = str(error).strip() or type(error).__name__
            self.losses.append(f"{what}: {text[:2000]} ({Path(place.filename).name}:{place.lineno})")

    def count(self, quick: int, full: int) -> int:
        """How often: `quick` times inside `make test`, `full` times in `make faults`."""
        return quick if self.quick else full

    def some(self, everything: Sequence, quick: int) -> Sequence:
        """All of `everything`, or `quick` of them drawn by the seed."""
        return self.random.sample(everything, quick) if self.quick and len(everything) > quick else everything

    def in_time(self) -> bool:
        """Whether there is time for one more; a fault that ends before its count says so in `notes`."""
        return not self.budget.is_over()

    def note(self, text: str) -> None:
        """A figure that belongs into the table's last column."""
        self.notes.append(text)


@dataclass(frozen=True)
class Outcome:
    """What came of one fault: how often it was put in and survived, what was lost, figures for the table, seconds."""

    name: str
    injected: int
    survived: int
    losses: list[str]
    notes: list[str]
    seconds: float


def modules() -> dict[str, ModuleType]:
    """Every fault by its name ("F6"), in order."""
    names = sorted(found.name for found in pkgutil.iter_modules(faults.__path__) if found.name[0] == "f" and found.name[1:3].isdecimal())
    return {f"F{int(name[1:3])}": importlib.import_module(f"tests.faults.{name}") for name in names}


def run_fault(name: str, module: ModuleType, seed: int, shared: Path, quick: bool = False) -> Bench:
    """Put one fault in, within its own time, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix=f"danlu-{name}-") as folder:
        bench = Bench(name, seed, Path(folder), shared, quick, Patience(module.SECONDS))
        try:
            module.inject(bench)
        except NotHere as reason:
            bench.note(f"not shown here: {reason}")
        except (Exception, pytest.fail.Exception):
            bench.losses.append(f"the harness itself failed: {traceback.format_exc(limit=-3)}")
        return bench


def run_faults(names: Sequence[str], seed: int, quick: bool, tell: Callable[[str], None]) -> bool:
    """Run the named faults, tell their table line by line, then every loss; return whether nothing was lost.

    They run in lanes of their own processes, because most of them wait for one thread; those that are `ALONE` one after another.
    """
    known = modules()
    tell(f"seed {seed}, {os.cpu_count()} cores; the same seed draws the same faults, but a kill lands where the clock says")
    tell(_line("fault", "injected", "survived", "lost", "seconds", "what"))
    outcomes, began = [], time.monotonic()
    alone = [name for name in names if getattr(known[name], "ALONE", False)]
    with tempfile.TemporaryDirectory(prefix="danlu-faults-") as shared:
        for group, lanes in ((set(names) - set(alone), LANES), (set(alone), 1)):
            for outcome in _in_lanes(sorted(group, key=lambda name: -known[name].SECONDS), lanes, seed, Path(shared), quick):
                outcomes.append(outcome)
                what = "; ".join([known[outcome.name].TITLE, *outcome.notes])
                lost = len(outcome.losses) or "nothing"
                tell(_line(outcome.name, outcome.injected, outcome.survived, lost, f"{outcome.seconds:.0f}", what))
    for outcome in outcomes:
        for loss in outcome.losses:
            tell(f"{outcome.name} LOST {loss}")
    counts = [sum(o.injected for o in outcomes), sum(o.survived for o in outcomes), sum(len(o.losses) for o in outcomes) or "nothing"]
    tell(_line("total", *counts, f"{time.monotonic() - began:.0f}"))
    return not any(outcome.losses for outcome in outcomes)


def _in_lanes(names: Sequence[str], lanes: int, seed: int, shared: Path, quick: bool) -> Iterator[Outcome]:
    """What came of each, as they end; a lane that dies itself is a loss of every fault that was still to come."""
    with ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn")) as pool:
        under_way = {pool.submit(_in_lane, name, seed, shared, quick): name for name in names}
        for done in as_completed(under_way):
            try:
                yield done.result()
            except BrokenProcessPool as error:
                yield Outcome(under_way[done], 0, 0, [f"a process of the harness died: {error}"], [], 0.0)


def _in_lane(name: str, seed: int, shared: Path, quick: bool) -> Outcome:
    """One fault in this process, which shares with itself what is dear to make."""
    own, began = shared / str(os.getpid()), time.monotonic()
    own.mkdir(exist_ok=True)
    bench = run_fault(name, modules()[name], seed, own, quick)
    return Outcome(name, bench.injected, bench.survived, bench.losses, bench.notes, time.monotonic() - began)


def _line(*cells: object) -> str:
    widths = (6, 9, 9, 8, 8, 0)
    return " ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=False)).rstrip()

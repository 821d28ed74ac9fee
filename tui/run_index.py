"""The runs of a folder as rows of a list, and their loss curves. What has not changed on disk is not read again.

Meant for a thread of its own: nothing here touches a screen.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import DanluError
from engine import events
from engine.config_file import read_resolved
from engine.queue import Tail
from engine.run_directory import RunDirectory, find_runs
from tui.series import Series
from tui.summary import Summary, summarise

if TYPE_CHECKING:
    import numpy as np

FIRST_EVAL_BYTES = 8 << 20
"""The base model's evaluation comes before the first step; a run that has none within so much has none at the start."""

Stamp = tuple[int, int, bool]


@dataclass(frozen=True)
class Row:
    """One run. size: bytes of the whole folder."""

    summary: Summary
    model: str
    first_eval: events.Eval | None
    size: int

    @property
    def run(self) -> RunDirectory:
        return self.summary.run

    @property
    def when(self) -> float:
        """Unix time of its last word, else of its beginning."""
        return self.summary.last_time or self.summary.began


@dataclass(frozen=True)
class Curve:
    """Loss by step of one run; arrays of its own."""

    name: str
    steps: "np.ndarray"
    loss: "np.ndarray"


class RunIndex:
    """Remembers what it read; `rows` and `curve` look for what is new."""

    def __init__(self) -> None:
        self._rows: dict[Path, tuple[Stamp, Row]] = {}
        self._first_evals: dict[Path, events.Eval] = {}
        self._models: dict[Path, str] = {}
        self._curves: dict[Path, tuple[Tail, Series]] = {}

    def rows(self, output_dir: Path) -> list[Row]:
        """All runs, the newest first. A run that is deleted meanwhile is left out. Raises OSError for an unreadable folder."""
        found: dict[Path, tuple[Stamp, Row]] = {}
        for run in find_runs(output_dir):
            if run.path.name.startswith("."):
                continue
            stamp = _stamp(run)
            before = self._rows.get(run.path)
            found[run.path] = before if before and before[0] == stamp else (stamp, self._row(run))
        self._rows = found
        return [row for _, row in found.values()]

    def curve(self, run: RunDirectory) -> Curve:
        """The loss of every step so far. Only what was written since the last call is read."""
        import numpy as np  # a tenth of a second, which the list of runs does not wait for

        tail, series = self._curves.get(run.path) or (Tail(run.events, events.decode), Series())
        if _size(run.events) < tail.offset:
            tail, series = Tail(run.events, events.decode), Series()
        self._curves[run.path] = (tail, series)
        while batch := tail.read():
            for event in batch:
                if isinstance(event, events.Step):
                    series.append(event)
                elif isinstance(event, events.EngineStarted):
                    series.cut_after(event.resumed_step)
        return Curve(run.name, np.array(series.steps), np.array(series.columns["loss"]))

    def _row(self, run: RunDirectory) -> Row:
        if run.path not in self._models:
            self._models[run.path] = _model(run)
        if run.path not in self._first_evals and (first := _first_eval(run)) is not None:
            self._first_evals[run.path] = first
        return Row(summarise(run), self._models[run.path], self._first_evals.get(run.path), folder_size(run.path))


def folder_size(path: Path | str) -> int:
    """Bytes of all files below `path`; links are not followed, what disappears meanwhile counts nothing."""
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass
    return total


def _stamp(run: RunDirectory) -> Stamp:
    try:
        stat = run.events.stat()
    except OSError:
        return (0, 0, run.is_alive())
    return (stat.st_size, stat.st_mtime_ns, run.is_alive())


def _model(run: RunDirectory) -> str:
    """The model's name, of a folder its last part; empty where config.toml says none."""
    try:
        return read_resolved(run.config).model.name.rstrip("/").rpartition("/")[2]
    except DanluError:
        return ""


def _first_eval(run: RunDirectory) -> events.Eval | None:
    tail = Tail(run.events, events.decode)
    while tail.offset < FIRST_EVAL_BYTES and (batch := tail.read(1 << 18)):
        for event in batch:
            if isinstance(event, events.Eval):
                return event
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

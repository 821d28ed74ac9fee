"""What a list of runs says of each: how it stands, how far it came, its newest losses. From the end of its events, so that a list is quick.

It only reads; the whole of a run is `tui.fold`.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from engine import events
from engine.engine_log import last_lines
from engine.queue import Tail, last_of_type
from engine.run_directory import RunDirectory
from tui.fold import RunState, fold_all
from tui.follow import silence_of
from tui.states import LIVE, death, state_of

END_BYTES = 256 << 10
"""Enough for some hundred steps with their hardware events, read in a few milliseconds."""


@dataclass(frozen=True)
class Summary:
    """status: as `tui.states.state_of` gives it: how the run stands, or how it ended; died: without a word of its own.

    step, max_steps: 0 while unknown.  loss, last_eval: newest, None while there is none.  began, last_time: Unix seconds, 0 while unknown.
    exit_code: as the engine said it; 1 when it died; None while it lives.  error: its one message when it failed.
    cause: of a death, a code of `engine.death`.
    """

    run: RunDirectory
    status: str
    step: int = 0
    max_steps: int = 0
    loss: float | None = None
    last_eval: events.Eval | None = None
    began: float = 0.0
    last_time: float = 0.0
    last_seq: int = -1
    exit_code: int | None = None
    error: str = ""
    cause: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether an engine was at work on it when this was asked."""
        return self.exit_code is None

    @property
    def can_resume(self) -> bool:
        """Whether `danlu resume` would go on with it."""
        return not self.is_alive and self.status != "finished"


def summarise(run: RunDirectory) -> Summary:
    """The summary of a run. Reads the end of its events; all of them where the end holds no step, and an evaluation that lies further back.

    Raises nothing.
    """
    holder = run.holder()  # asked before reading, so that a last word written in between is never overtaken by "died"
    state = _folded(run, END_BYTES)
    if state.step is None:
        state = _folded(run, None)
    status = state_of(state, holder is not None, is_silent=bool(holder and silence_of(run, holder).seconds))
    # An engine that has said its last word still holds its lock while it is torn down, for seconds on a busy machine.
    exit_code = None if status in LIVE else state.stopped.exit_code if state.stopped else 1
    stopped_step, losses = state.stopped.step if state.stopped else 0, state.series.columns["loss"]
    return Summary(
        run, status, state.step.step if state.step else stopped_step, state.max_steps, float(losses[-1]) if len(losses) else None,
        state.last_eval or _older_eval(run), _began(run), state.last_time, state.last_seq, exit_code,
        state.stopped.error if state.stopped else "", death(state, last_lines(run, 60)).code if status == "died" else "",
    )  # fmt: skip


def _folded(run: RunDirectory, end_bytes: int | None) -> RunState:
    """The state after the last `end_bytes` of the events (all when None). A line cut in two is passed over."""
    try:
        size = run.events.stat().st_size
    except OSError:
        return RunState()
    tail, state = Tail(run.events, events.decode, max(0, size - end_bytes) if end_bytes else 0), RunState()
    while batch := tail.read():
        fold_all(state, batch)
    return state


def _older_eval(run: RunDirectory) -> events.Eval | None:
    """The newest evaluation, where the end of the events holds none."""
    found = last_of_type(run.events, "eval")
    return found if isinstance(found, events.Eval) else None


def _began(run: RunDirectory) -> float:
    """When the run was started first: its configuration is written once, then."""
    try:
        return run.config.stat().st_mtime
    except OSError:
        return 0.0


def reference(run: RunDirectory) -> str:
    """What to type behind `danlu attach` in the current folder to mean this run: its name in runs/, else its path."""
    in_runs = (Path("runs") / run.name).absolute() == run.path.absolute()
    return run.name if in_runs else shlex.quote(os.path.relpath(run.path) if run.path.is_relative_to(Path.cwd()) else str(run.path))

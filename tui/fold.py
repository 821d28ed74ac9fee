"""`RunState`: all that is known of a run, as a pure fold of its events. Replaying a log gives what watching it gave.

Nothing here reads files, asks whether the engine lives, or draws. A log may be old, foreign, torn or doubled: every
event is taken for what can be used of it, and none raises.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine import events
from tui.series import Series

LOG_KEPT = 2000
SAMPLES_KEPT = 200
"""Of a long run the newest samples stay; those of the base model are kept apart, for comparison."""

NO_PROGRESS = (events.Hardware, events.Warning, events.CommandDone, events.Unknown)

Keyed = TypeVar("Keyed")


@dataclass
class LiveSample:
    """A sample while it is generated."""

    id: str
    prompt: str
    step: int
    max_new_tokens: int
    text: str = ""

    def grow(self, piece: events.SampleText) -> None:
        """A piece that overlaps adds its new end; one that does not connect waits for the finished event, which has it all."""
        if piece.id == self.id and 0 <= piece.offset <= len(self.text):
            self.text += piece.text[len(self.text) - piece.offset :]


@dataclass
class Stage:
    """A phase of this start: when it began, and its newest event."""

    began: float
    newest: events.Phase


@dataclass
class Pace:
    """Wall time a step takes since the engine started, pauses left out."""

    first_step: int = 0
    first_time: float = 0.0
    paused_s: float = 0.0
    paused_since: float | None = None

    def seconds_per_step(self, last: events.Step) -> float:
        """Mean from the first step of this start to `last`; its own duration when it is the first."""
        steps = last.step - self.first_step
        spent = last.time - self.first_time - self.paused_s
        seconds = spent / steps if steps > 0 and spent > 0 else last.step_s
        return seconds if math.isfinite(seconds) else 0.0


@dataclass
class RunState:
    """Changed in place by `fold`, which is the only one to do so."""

    series: Series = field(default_factory=Series)
    evals: dict[int, events.Eval] = field(default_factory=dict)
    rounds: dict[int, events.SampleRound] = field(default_factory=dict)
    checkpoints: dict[int, events.CheckpointSaved] = field(default_factory=dict)
    base_samples: dict[str, events.SampleFinished] = field(default_factory=dict)
    """Prompt → what the model answered before the first step."""
    samples: deque[events.SampleFinished] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT))
    live_samples: dict[str, LiveSample] = field(default_factory=dict)
    """Those being generated, side by side, by id."""
    answers: dict[str, events.CommandDone] = field(default_factory=dict)
    log: deque[events.Event | events.Unknown] = field(default_factory=lambda: deque(maxlen=LOG_KEPT))
    """What is worth a sentence, oldest first."""
    num_logged: int = 0
    warnings: int = 0
    engine: events.EngineStarted | None = None
    phase: events.Phase | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    """Phases of this start by name, in the order they began."""
    data: events.DataSummary | None = None
    plan: events.Plan | None = None
    step: events.Step | None = None
    """The newest step event; None before the first, and after a restart from the beginning."""
    hardware: events.Hardware | None = None
    ranks: events.Ranks | None = None
    """Load of each process of a run of several; None for one."""
    final_model: events.FinalModelSaved | None = None
    stopped: events.EngineStopped | None = None
    is_paused: bool = False
    is_stalled: bool = False
    """The engine's own watchdog has seen no progress for too long."""
    progress_time: float = 0.0
    """Time of the newest event that is progress: all but the machine's load, warnings and answers."""
    missed: int = 0
    """Events that the numbering says were written but are not in the log."""
    last_seq: int = -1
    last_time: float = 0.0
    pace: Pace = field(default_factory=Pace)

    @property
    def status(self) -> str:
        """starting, working (see `phase`), training, paused, or how it ended: finished, stopped, interrupted, failed, died."""
        if self.stopped is not None:
            return self.stopped.reason if self.stopped.reason in ("finished", "stopped", "interrupted", "died") else "failed"
        if self.phase is None:
            return "starting"
        if self.phase.name != "train":
            return "working"
        return "paused" if self.is_paused else "training"

    @property
    def max_steps(self) -> int:
        """Steps of the whole run, 0 while unknown."""
        return self.step.max_steps if self.step else self.plan.max_steps if self.plan else 0

    @property
    def eta_s(self) -> float | None:
        """Seconds of training left at the pace so far, evaluations and samples included; None when nothing can be said."""
        if self.step is None or self.is_paused or self.stopped is not None:
            return None
        return self.pace.seconds_per_step(self.step) * max(0, self.max_steps - self.step.step)

    @property
    def best_eval(self) -> events.Eval | None:
        """The evaluation with the lowest loss."""
        return min((e for e in self.evals.values() if math.isfinite(e.loss)), key=lambda e: e.loss, default=None)

    @property
    def last_eval(self) -> events.Eval | None:
        return next(reversed(self.evals.values()), None)

    @property
    def first_eval(self) -> events.Eval | None:
        return next(iter(self.evals.values()), None)


def fold(state: RunState, event: events.Event | events.Unknown) -> RunState:
    """Take one event in (in place) and return `state`. An event that was taken already changes nothing."""
    if not _is_new(state, event):
        return state
    if not isinstance(event, NO_PROGRESS):
        state.is_stalled, state.progress_time = False, event.time
    if action := _ACTIONS.get(type(event)):
        action(state, event)
    return state


def fold_all(state: RunState, batch: Iterable[events.Event | events.Unknown]) -> RunState:
    """Take many in."""
    for event in batch:
        fold(state, event)
    return state


def _is_new(state: RunState, event: events.Event | events.Unknown) -> bool:
    """Follow the numbering. A start with a lower number is a log that was begun anew, not a repetition."""
    if 0 <= event.seq <= state.last_seq and not (isinstance(event, events.EngineStarted) and event.time > state.last_time):
        return False
    if event.seq > state.last_seq + 1:
        state.missed += event.seq - state.last_seq - 1
    if event.seq >= 0:
        state.last_seq = event.seq
    state.last_time = event.time
    return True


def _engine_started(state: RunState, event: events.EngineStarted) -> None:
    """Steps after the checkpoint are going to be done again."""
    state.engine, state.phase, state.stopped, state.step = event, None, None, None
    state.live_samples, state.is_paused, state.final_model = {}, False, None
    state.stages = {}
    state.pace = Pace()
    step = event.resumed_step
    state.series.cut_after(step)
    for table in (state.evals, state.rounds, state.checkpoints):
        _drop_after(table, step)
    state.samples = deque((sample for sample in state.samples if sample.step <= step), maxlen=SAMPLES_KEPT)
    _log(state, event)


def _phase(state: RunState, event: events.Phase) -> None:
    is_new = state.phase is None or state.phase.name != event.name
    state.phase = event
    state.stages.setdefault(event.name, Stage(event.time, event)).newest = event
    # Evaluation and saving end in an event of their own, which says more.
    if is_new and event.name not in ("train", "evaluate", "save", "pause"):
        _log(state, event)


def _data_summary(state: RunState, event: events.DataSummary) -> None:
    state.data = event
    _log(state, event)


def _plan(state: RunState, event: events.Plan) -> None:
    state.plan = event
    _log(state, event)


def _step(state: RunState, event: events.Step) -> None:
    state.series.append(event)
    state.step = event
    state.live_samples.clear()  # of any that memory ran out for
    if state.pace.first_time == 0.0:
        state.pace.first_step, state.pace.first_time = event.step, event.time


def _hardware(state: RunState, event: events.Hardware) -> None:
    state.hardware = event


def _ranks(state: RunState, event: events.Ranks) -> None:
    state.ranks = event


def _eval(state: RunState, event: events.Eval) -> None:
    _drop_after(state.evals, event.step - 1)
    state.evals[event.step] = event
    _log(state, event)


def _sample_started(state: RunState, event: events.SampleStarted) -> None:
    state.live_samples[event.id] = LiveSample(event.id, event.prompt, event.step, event.max_new_tokens)


def _sample_text(state: RunState, event: events.SampleText) -> None:
    if sample := state.live_samples.get(event.id):
        sample.grow(event)


def _sample_finished(state: RunState, event: events.SampleFinished) -> None:
    state.live_samples.pop(event.id, None)
    if event.step == 0:
        state.base_samples.setdefault(event.prompt, event)
    state.samples.append(event)
    _log(state, event)


def _sample_round(state: RunState, event: events.SampleRound) -> None:
    _drop_after(state.rounds, event.step - 1)
    state.rounds[event.step] = event
    _log(state, event)


def _checkpoint_saved(state: RunState, event: events.CheckpointSaved) -> None:
    state.checkpoints[event.step] = event
    _log(state, event)


def _final_model_saved(state: RunState, event: events.FinalModelSaved) -> None:
    state.final_model = event
    _log(state, event)


def _warning(state: RunState, event: events.Warning) -> None:
    state.warnings += 1
    state.is_stalled = state.is_stalled or event.code == "stalled"
    _log(state, event)


def _command_done(state: RunState, event: events.CommandDone) -> None:
    state.answers[event.id] = event
    _log(state, event)


def _paused(state: RunState, event: events.Paused) -> None:
    if event.paused and not state.is_paused:
        state.pace.paused_since = event.time
    elif not event.paused and state.pace.paused_since is not None:
        state.pace.paused_s += event.time - state.pace.paused_since
        state.pace.paused_since = None
    state.is_paused = event.paused
    _log(state, event)


def _engine_stopped(state: RunState, event: events.EngineStopped) -> None:
    state.stopped, state.live_samples, state.is_paused = event, {}, False
    _log(state, event)


def _log(state: RunState, event: events.Event) -> None:
    state.log.append(event)
    state.num_logged += 1


def _drop_after(table: dict[int, Keyed], step: int) -> None:
    for later in [key for key in table if key > step]:
        del table[later]


_ACTIONS: dict[type, Callable[[RunState, Any], None]] = {
    events.EngineStarted: _engine_started,
    events.Phase: _phase,
    events.DataSummary: _data_summary,
    events.Plan: _plan,
    events.Step: _step,
    events.Hardware: _hardware,
    events.Ranks: _ranks,
    events.Eval: _eval,
    events.SampleStarted: _sample_started,
    events.SampleText: _sample_text,
    events.SampleFinished: _sample_finished,
    events.SampleRound: _sample_round,
    events.CheckpointSaved: _checkpoint_saved,
    events.FinalModelSaved: _final_model_saved,
    events.Warning: _warning,
    events.CommandDone: _command_done,
    events.Paused: _paused,
    events.EngineStopped: _engine_stopped,
}

"""The run screen's state is a pure fold: the same log gives the same state, whatever way it is read."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine import events
from tests.console_runs import beginning, evaluation, sample, step
from tui.fold import RunState, fold, fold_all
from tui.states import state_of


def numbered(log: list[events.Event], start: int = 0) -> list[events.Event]:
    """The events with the seq and time that the queue gives them."""
    return [msgspec.structs.replace(event, seq=start + n, time=1000.0 + start + n) for n, event in enumerate(log)]


def facts(state: RunState) -> dict:
    """All that a state holds, comparable; arrays as bytes, so that NaN equals itself."""
    columns = {name: column.tobytes() for name, column in state.series.columns.items()}
    return {name: repr(value) for name, value in vars(state).items() if name != "series"} | columns | {"steps": list(state.series.steps)}


LOG = numbered([
    *beginning(), step(1), step(2, loss=float("nan")), events.SampleStarted(id="2-0", prompt="q", step=2),
    events.SampleText(id="2-0", offset=0, text="ab"), events.SampleText(id="2-0", offset=2, text="cd"), sample("2-0", 2),
    events.Paused(paused=True, step=2), events.Paused(paused=False, step=2), step(3), evaluation(3, 2.5),
    events.CheckpointSaved(step=3, path="checkpoint-3", bytes=1), events.EngineStopped(reason="stopped", exit_code=3, step=3),
])  # fmt: skip


@given(st.integers(0, len(LOG)))
def test_replay_gives_what_watching_gave(cut):
    """Attaching at any moment and following from there equals a replay from the start."""
    watched = fold_all(fold_all(RunState(), LOG[:cut]), LOG[cut:])

    assert facts(watched) == facts(fold_all(RunState(), LOG))


@given(st.lists(st.integers(0, len(LOG) - 1), max_size=8))
def test_doubled_events_change_nothing(again):
    """A reader that sees an event twice shows the same run."""
    state = fold_all(RunState(), LOG)
    before = facts(state)

    assert facts(fold_all(state, [LOG[n] for n in again])) == before


def test_a_restart_drops_the_steps_that_will_be_done_again():
    """After a resume from checkpoint 1 nothing of steps 2 and 3 is left, and the base model's samples are."""
    state = fold_all(RunState(), LOG)
    fold(state, events.EngineStarted(seq=len(LOG), time=5000.0, start_id="b", pid=2, versions={}, resumed_step=1))

    assert list(state.series.steps) == [1.0]
    assert list(state.evals) == [0]
    assert state.checkpoints == {}
    assert [one.step for one in state.samples] == [0]
    assert state.stopped is None
    assert state.status == "starting"


def test_gaps_in_the_numbering_are_counted():
    """Events that were written but are not in the log are told, not hidden."""
    state = fold_all(RunState(), [LOG[0], LOG[1], LOG[5], LOG[6]])

    assert state.missed == 3


def test_a_log_begun_anew_is_no_repetition():
    """An engine that starts with number 0 at a later time is taken as a new start."""
    state = fold_all(RunState(), LOG)
    fold_all(state, [events.EngineStarted(seq=0, time=9000.0, start_id="c", pid=3, versions={})])

    assert state.engine.start_id == "c"
    assert len(state.series) == 0


def test_an_event_of_a_newer_engine_is_passed_over():
    """It takes its place in the numbering and changes nothing else."""
    state = fold_all(RunState(), LOG[:3])
    fold(state, events.decode(b'{"type":"telepathy","seq":3,"time":1.0,"mood":"good"}'))
    fold_all(state, LOG[4:])

    assert state.missed == 0
    assert state.last_seq == LOG[-1].seq


def test_a_number_that_json_could_not_hold_is_no_lost_step():
    """A NaN loss is written as null; the step still counts and the curve has a hole."""
    line = events.encode(msgspec.structs.replace(step(1, loss=float("nan")), seq=0, time=1.0))
    state = fold(RunState(), events.decode(line))

    assert b'"loss":null' in line
    assert state.step.step == 1
    assert math.isnan(state.series.columns["loss"][0])


def test_a_piece_of_a_sample_that_does_not_connect_is_left_out():
    """Pieces may overlap; one after a hole waits for the finished event, which has the whole text."""
    started = events.SampleStarted(id="1-0", prompt="q", step=1)
    pieces = [events.SampleText(id="1-0", offset=offset, text=text) for offset, text in ((0, "abc"), (2, "cd"), (9, "zz"), (4, "e"))]
    state = fold_all(RunState(), numbered([started, *pieces]))

    assert state.live_samples["1-0"].text == "abcde"


def test_a_pause_does_not_spoil_the_time_left():
    """The pace is the mean of the steps' wall time, pauses left out."""
    times = {1: 100.0, 2: 110.0, 3: 1120.0}
    log = [msgspec.structs.replace(step(n, max_steps=5), seq=2 * n, time=at) for n, at in times.items()]
    pause = [events.Paused(seq=5, time=110.0, paused=True, step=2), events.Paused(seq=5 + 1, time=1110.0, paused=False, step=2)]
    log[2] = msgspec.structs.replace(log[2], seq=7)
    state = fold_all(RunState(), [log[0], log[1], *pause, log[2]])

    assert state.eta_s == 20.0


def test_a_run_without_its_engine_has_died():
    """The log's last word decides, unless no engine is there to say another."""
    midway = fold_all(RunState(), LOG[:9])

    assert state_of(midway, is_alive=True) == "training"
    assert state_of(midway, is_alive=False) == "died"
    assert state_of(RunState(), is_alive=False) == "died"
    assert state_of(RunState(), is_alive=False, is_starting=True) == "starting"
    assert state_of(fold_all(RunState(), LOG), is_alive=False) == "stopped"


@given(st.lists(st.sampled_from(LOG), max_size=30), st.booleans())
def test_no_log_whatever_raises(log, backwards):
    """Torn, shuffled and doubled logs give some state, never an error."""
    state = fold_all(RunState(), reversed(log) if backwards else log)

    assert state.status
    assert state.eta_s is None or state.eta_s >= 0

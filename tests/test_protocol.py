"""The event protocol against its golden file: one line an event type, byte for byte."""

import math
from pathlib import Path

import msgspec
import pytest

from engine import events
from tui.fold import RunState, fold, fold_all
from tui.sentences import sentence

GOLDEN = (Path(__file__).parent / "golden" / "events.jsonl").read_bytes().splitlines(keepends=True)
DECODED = [events.decode(line) for line in GOLDEN]


def test_every_event_type_has_its_golden_line():
    """Adding an event type without its golden line fails here, and so does removing one that logs still hold."""
    tags = {kind.__struct_config__.tag for kind in events.KNOWN.__args__}

    assert [event.__struct_config__.tag for event in DECODED] == list(dict.fromkeys(event.__struct_config__.tag for event in DECODED))
    assert {event.__struct_config__.tag for event in DECODED} == tags


FIRST = (Path(__file__).parent / "golden" / "events-0.1.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("line", FIRST, ids=range(len(FIRST)))
def test_logs_of_the_first_version_are_understood(line):
    """Never edited: what the first version wrote stays a known event, whatever fields were added since."""
    assert not isinstance(events.decode(line), events.Unknown | None)


@pytest.mark.parametrize(("line", "event"), list(zip(GOLDEN, DECODED, strict=True)), ids=[type(event).__name__ for event in DECODED])
def test_an_event_is_written_as_its_golden_line_and_read_back(line, event):
    """Old logs stay readable and new logs look the same: encoding the decoded line gives the line."""
    assert events.encode(event) == line


def test_a_step_whose_gradient_is_not_finite_is_still_a_step():
    """JSON has no infinity, so it is written as null, and read as not a number."""
    step = next(event for event in DECODED if isinstance(event, events.Step))
    read = events.decode(events.encode(msgspec.structs.replace(step, grad_norm=math.inf, loss=math.nan)))

    assert isinstance(read, events.Step) and read.step == step.step
    assert math.isnan(read.grad_norm) and math.isnan(read.loss)
    assert sentence(read).text and fold(RunState(), read).step is read


@pytest.mark.parametrize("event", DECODED, ids=[type(event).__name__ for event in DECODED])
def test_the_fold_takes_every_event(event):
    """No event type is ignored: each leaves a trace in the state, and its sentence can be said."""
    before, after = RunState(), fold(RunState(), event)
    before.last_seq, before.last_time, before.missed = after.last_seq, after.last_time, after.missed
    if isinstance(event, events.SampleText):  # means something only for its sample
        started = next(one for one in DECODED if isinstance(one, events.SampleStarted))
        after = fold_all(RunState(), [started, event])
        assert after.live_samples[event.id].text == event.text
        return

    assert _facts(after) != _facts(before)
    assert sentence(event).text


def _facts(state: RunState) -> dict:
    facts = {name: value for name, value in vars(state).items() if name != "series"}
    return facts | {"steps": list(state.series.steps)}

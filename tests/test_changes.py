"""What a person may change when a run is resumed."""

import pytest

from engine.changes import Change, changed_document, length_of
from engine.config_file import parse, read_resolved
from engine.errors import ConfigError
from tests.engine_runs import make_run, write_records


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, tmp_path / "model", write_records(tmp_path / "d.jsonl", 3))


def test_length_and_learning_rate_are_choices(run):
    """They are written into the run's configuration, beside what it was made with."""
    document, changed = changed_document(run, ["train.num_epochs=3", "train.learning_rate=1e-4"])
    document.save()

    assert changed == [Change("train.learning_rate", "0.005", "1e-4"), Change("train.num_epochs", "1.0", "3")]
    assert read_resolved(run.config).train.num_epochs == 3
    assert "[resolved]" in run.config.read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("lora.r=8", "lora.r cannot change"),
        ("model.name=other", "model.name cannot change"),
        ("train.seed=1", "train.seed cannot change"),
        ("data.max_seq_length=64", "data.max_seq_length cannot change"),
        ("train.nonsense=3", "unknown key"),
    ],
)
def test_what_makes_the_run_what_it_is_stays(run, change, says):
    """Refused by name, and nothing is written."""
    before = run.config.read_text()

    with pytest.raises(ConfigError, match=says):
        changed_document(run, [change])
    assert run.config.read_text() == before


def test_batch_and_processes_may_be_others(run):
    """The engine goes on at the same place in the data and says that the run is an equivalent one."""
    _, changed = changed_document(run, ["train.batch_size=4", "parallel.num_gpus=1"])

    assert [change.key for change in changed] == ["train.batch_size", "parallel.num_gpus"]


def test_a_change_is_undone_by_setting_it_back(run):
    """What was unset becomes unset again."""
    before = run.config.read_text()
    document, changed = changed_document(run, ["train.max_steps=99", "train.learning_rate=1e-4"])
    document.save()
    document, undone = changed_document(run, [f"{change.key}={change.before}" for change in changed])
    document.save()

    assert [change.after for change in undone] == [change.before for change in changed]
    assert read_resolved(run.config) == parse(before, "before")


def test_a_value_that_is_the_same_is_no_change(run):
    """Seed 42 is what it was."""
    assert changed_document(run, ["train.seed=42"])[1] == []


def test_the_length_is_asked_for_in_the_unit_it_was_given(run):
    """Steps where the configuration gives steps, epochs otherwise."""
    assert length_of(run) == ("train.max_steps", "8")
    changed_document(run, ["train.max_steps="])[0].save()

    assert length_of(run) == ("train.num_epochs", "1.0")

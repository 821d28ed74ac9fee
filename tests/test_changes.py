"""What a person may change when a run is resumed."""

import pytest

from engine.changes import changed_document
from engine.config_file import read_resolved
from engine.errors import ConfigError
from tests.engine_runs import make_run, write_records


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, tmp_path / "model", write_records(tmp_path / "d.jsonl", 3))


def test_length_and_learning_rate_are_choices(run):
    """They are written into the run's configuration, beside what it was made with."""
    document, changed = changed_document(run, ["train.num_epochs=3", "train.learning_rate=1e-4"])
    document.save()

    assert changed == ["train.learning_rate", "train.num_epochs"]
    assert read_resolved(run.config).train.num_epochs == 3
    assert "[resolved]" in run.config.read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("lora.r=8", "lora.r cannot change"),
        ("model.name=other", "model.name cannot change"),
        ("train.seed=1", "train.seed cannot change"),
        ("data.max_seq_length=64", "data.max_seq_length cannot change"),
        ("train.batch_size=3", "their product is the place in the data"),
        ("train.nonsense=3", "unknown key"),
    ],
)
def test_what_makes_the_run_what_it_is_stays(run, change, says):
    """Refused by name, and nothing is written."""
    before = run.config.read_text()

    with pytest.raises(ConfigError, match=says):
        changed_document(run, [change])
    assert run.config.read_text() == before


def test_a_step_may_be_split_otherwise(run):
    """Two rows twice are four rows once: the same step."""
    _, changed = changed_document(run, ["train.batch_size=4", "train.gradient_accumulation_steps=1"])

    assert changed == ["train.batch_size", "train.gradient_accumulation_steps"]


def test_a_value_that_is_the_same_is_no_change(run):
    """Seed 42 is what it was."""
    assert changed_document(run, ["train.seed=42"])[1] == []

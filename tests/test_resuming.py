"""Checkpoints of older versions, and what of a checkpoint is kept when its run is resumed otherwise."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from engine.config import Config
from engine.errors import RunError
from engine.resuming import compare, fingerprint, rows_per_step, splits_alike

HERE = Path("checkpoint-4")


def marks(**train: object) -> dict[str, str]:
    """What a run of the defaults depends on, with `train` changed."""
    config = Config() if not train else Config(train=type(Config().train)(**train))
    return fingerprint(config, "0123456789abcdef0123", "fp32", torch.device("cpu"))


def as_once_saved(now: dict[str, str]) -> dict[str, str]:
    """The same marks as the first versions saved them: rows a step and what a row is were one entry."""
    once = {name: value for name, value in now.items() if name != "rows"}
    return once | {"rows_per_step": json.dumps([int(now["rows_per_step"]), *json.loads(now["rows"])])}


def test_a_checkpoint_of_the_first_versions_is_the_same_run():
    """Its marks are read under today's names."""
    once = as_once_saved(marks())

    assert once["rows_per_step"] == "[8, true, 1024]"
    assert compare(HERE, once, marks()) == []
    assert rows_per_step(once) == rows_per_step(marks()) == 8


def test_another_batch_is_seen_in_a_checkpoint_of_the_first_versions():
    """Told as a change that can be gone on with, once."""
    assert compare(HERE, as_once_saved(marks()), marks(batch_size=2, gradient_accumulation_steps=6)) == ["rows in a step 8 → 12"]


def test_other_rows_are_refused_in_a_checkpoint_of_the_first_versions():
    """A row of another length is another place in the data."""
    once = as_once_saved(marks()) | {"rows_per_step": "[8, true, 512]"}

    with pytest.raises(RunError, match=r"data\.max_seq_length 512 → 1024"):
        compare(HERE, once, marks())


def test_a_mark_that_was_not_saved_yet_counts_as_changed():
    """Nobody can say that it is the same, so the run is an equivalent one."""
    then = {name: value for name, value in marks().items() if name != "ranks"}

    assert compare(HERE, then, marks()) == ["parallel.strategy unknown → single", "processes unknown → 1"]


def test_what_changed_is_called_as_a_person_sets_it():
    """The key with both values, one for each that is another, and never the mark as it is saved."""
    now = marks(max_steps=300, scheduler="wsd", learning_rate=1e-4)

    assert compare(HERE, marks(), now) == [
        "train.learning_rate 0.0002 → 0.0001",
        "train.scheduler cosine → wsd",
        "train.decay_ratio unset → 0.2",
        "train.max_steps unset → 300",
    ]
    assert compare(HERE, marks() | {"machine": '["another CPU", 1]'}, marks())[0].startswith("processor another CPU → ")


@pytest.mark.parametrize("package", ["danlu", "torch", "transformers", "peft"])
def test_other_software_is_an_equivalent_run(package):
    """Kernels and the order of sums may differ between versions."""
    now = marks()
    then = now | {"versions": now["versions"].replace(f"{package} ", f"{package} 0.0.")}
    (told,) = compare(HERE, then, now)

    assert told.startswith("versions ")


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"learning_rate": 1e-5}, True),
        ({"batch_size": 1, "gradient_accumulation_steps": 8}, False),
        ({"gradient_checkpointing": "off"}, False),
    ],
)
def test_a_step_is_split_as_before_unless_that_was_asked_for(changes, alike):
    """What memory had made a run give up holds only as long as nobody sets it otherwise."""
    assert splits_alike(marks(), marks(**changes)) is alike

"""Which examples a step sees, and the tensors made of them."""

from array import array
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.examples import ANSWER, PROMPT, THINKING, Example
from engine.batches import StepPlan, build_micro_batch, in_micro_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


def plan(lengths, rows_per_step=4, num_epochs=1.0, max_steps=None, packing=True, seed=0) -> StepPlan:
    return StepPlan(
        lengths, row_length=64, packing=packing, rows_per_step=rows_per_step, num_epochs=num_epochs, max_steps=max_steps, seed=seed
    )


@given(LENGTHS, st.integers(1, 7), st.booleans())
def test_an_epoch_sees_every_example_exactly_once(lengths, rows_per_step, packing):
    """Packed or not, with a short last step."""
    steps = plan(lengths, rows_per_step, packing=packing)
    seen = Counter(index for step in range(1, steps.max_steps + 1) for row in steps.rows(step) for index in row)

    assert seen == Counter(range(len(lengths)))


@given(LENGTHS, st.integers(1, 5))
def test_a_step_is_computed_without_the_steps_before_it(lengths, rows_per_step):
    """Resuming in the third epoch gives the rows an uninterrupted run has there."""
    whole, resumed = plan(lengths, rows_per_step, num_epochs=3), plan(lengths, rows_per_step, num_epochs=3)
    expected = [whole.rows(step) for step in range(1, whole.max_steps + 1)]

    assert resumed.rows(whole.max_steps) == expected[-1]


def test_epochs_come_in_different_orders_and_seeds_too():
    """Order is a function of seed and epoch."""
    steps = plan([10] * 50, rows_per_step=100, num_epochs=2, packing=False)

    assert steps.rows(1) != steps.rows(2)
    assert plan([10] * 50, rows_per_step=100, packing=False, seed=1).rows(1) != steps.rows(1)


def test_a_fraction_of_an_epoch_is_rounded_up():
    """1.5 epochs of 10 steps are 15; max_steps overrules."""
    assert plan([60] * 10, rows_per_step=1, num_epochs=1.5).max_steps == 15
    assert plan([60] * 10, rows_per_step=1, num_epochs=0.01).max_steps == 1
    assert plan([60] * 10, rows_per_step=1, max_steps=3).max_steps == 3


def test_the_epoch_of_a_step_counts_whole_steps():
    """After the last step of an epoch the count is exactly 1, 2, …"""
    steps = plan([60] * 10, rows_per_step=4, num_epochs=2)

    assert [steps.epoch_at(step) for step in (1, 3, 6)] == pytest.approx([1 / 3, 1.0, 2.0])


def test_the_first_token_of_an_example_is_never_predicted_from_the_one_before():
    """Two examples whose every token is supervised, in one row: the boundary is no target."""
    first = Example(array("i", [1, 2, 3]), bytes([ANSWER] * 3), 0, 1)
    second = Example(array("i", [7, 8]), bytes([THINKING] * 2), 1, 1)
    batch = build_micro_batch([first, second], torch.device("cpu"))

    assert batch.input_ids.tolist() == [[1, 2, 3, 7, 8]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1]]
    assert batch.rows.tolist() == [0, 1, 3] and batch.targets.tolist() == [2, 3, 8]
    assert batch.is_thinking.tolist() == [False, False, True]


def test_masked_tokens_are_no_targets():
    """Only THINKING and ANSWER are learnt."""
    example = Example(array("i", [1, 2, 3, 4]), bytes([PROMPT, PROMPT, THINKING, ANSWER]), 0, 1)
    batch = build_micro_batch([example], torch.device("cpu"))

    assert batch.targets.tolist() == [3, 4] and batch.rows.tolist() == [1, 2]


def test_micro_batches_take_whole_rows_in_order():
    """Five rows in twos, the last one alone."""
    assert list(in_micro_batches([[0, 1], [2], [3], [4], [5]], 2)) == [[0, 1, 2], [3, 4], [5]]

"""Which examples a step sees, and the tensors made of them."""

import math
from array import array
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.examples import ANSWER, PROMPT, THINKING, Example
from engine.batches import BEGINNING, Origin, StepPlan, build_micro_batch, in_micro_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


def plan(lengths, rows_per_step=4, num_epochs=1.0, max_steps=None, packing=True, seed=0, origin=BEGINNING) -> StepPlan:
    return StepPlan(
        lengths, row_length=64, packing=packing, rows_per_step=rows_per_step, num_epochs=num_epochs, max_steps=max_steps, seed=seed,
        origin=origin,
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


def test_the_epoch_of_a_step_counts_its_rows():
    """After the last step of an epoch the count is exactly 1, 2, …; four of ten rows are 0.4."""
    steps = plan([60] * 10, rows_per_step=4, num_epochs=2)

    assert [steps.epoch_at(step) for step in (1, 3, 6)] == pytest.approx([0.4, 1.0, 2.0])


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


@given(LENGTHS, st.integers(1, 7), st.integers(1, 7), st.floats(0.3, 3.2), st.data())
def test_a_changed_batch_goes_on_at_the_same_place(lengths, before, after, num_epochs, data):
    """Rows before and behind the change are those of the run without it, in its order, each once."""
    whole, first = plan(lengths, 1, num_epochs=math.ceil(num_epochs)), plan(lengths, before, num_epochs)
    at = data.draw(st.integers(0, first.max_steps))
    second = plan(lengths, after, num_epochs, origin=first.place_after(at))
    rows = [row for step in range(1, at + 1) for row in first.rows(step)]
    rows += [row for step in range(at + 1, second.max_steps + 1) for row in second.rows(step)]

    assert rows == [whole.rows(step)[0] for step in range(1, len(rows) + 1)]
    assert num_epochs % 1 or len(rows) == whole.max_steps
    assert second.place_after(at) == first.place_after(at)


def test_a_changed_batch_is_no_leap_in_the_schedule():
    """Half-way stays half-way, and the end is the end; where the steps are given they are not counted anew."""
    first = plan([60] * 80, rows_per_step=4)
    second = plan([60] * 80, rows_per_step=8, origin=first.place_after(10))

    assert first.in_schedule(10) == (10, 20)
    assert (second.max_steps, second.in_schedule(11), second.in_schedule(15)) == (15, (6, 10), (10, 10))
    assert plan([60] * 80, rows_per_step=8, max_steps=20, origin=first.place_after(10)).in_schedule(11) == (11, 20)


def test_a_batch_changed_twice_goes_on_from_the_second_place():
    """Nothing of the first change is needed but its place."""
    first = plan([60] * 40, rows_per_step=4, num_epochs=2)
    second = plan([60] * 40, rows_per_step=3, num_epochs=2, origin=first.place_after(5))
    third = plan([60] * 40, rows_per_step=5, num_epochs=2, origin=second.place_after(9))

    assert second.place_after(9) == Origin(9, 0, 32)
    assert [len(third.rows(step)) for step in range(10, 14)] == [5, 3, 5, 5]
    assert third.epoch_at(11) == 1.0

"""Rows and order: every example once, nothing over a row, the same on every machine."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from data.packing import LOOK_AHEAD, epoch_order, pack

LENGTHS = st.lists(st.integers(1, 1500), max_size=300)


@given(LENGTHS, st.integers(1, 1024), st.integers(0, 3))
def test_every_example_is_in_exactly_one_row(lengths, row_length, seed):
    """No example is lost or doubled, and only one that is longer than a row overfills it, alone."""
    rows = pack(lengths, epoch_order(len(lengths), seed, 0), row_length)

    assert Counter(number for row in rows for number in row) == Counter(range(len(lengths)))
    assert all(row for row in rows)
    assert all(len(row) == 1 or sum(lengths[number] for number in row) <= row_length for row in rows)


@settings(max_examples=30)
@given(LENGTHS.filter(bool))
def test_rows_keep_nearly_the_order_of_the_epoch(lengths):
    """A row starts with the next example, and takes none from farther than the look-ahead: a running mean over steps is fair."""
    waiting = epoch_order(len(lengths), 42, 1)

    for row in pack(lengths, waiting[:], 1024):
        assert row[0] == waiting[0]
        assert set(row) <= set(waiting[: LOOK_AHEAD + 1])
        waiting = [number for number in waiting if number not in row]


def test_short_examples_fill_rows():
    """Packing is worth it: rows of mixed short examples are at least 95 % full but for the last."""
    lengths = [50 + (number * 37) % 400 for number in range(500)]
    rows = pack(lengths, epoch_order(500, 42, 0), 1024)

    assert sum(lengths) / (1024 * len(rows)) > 0.95


def test_an_example_that_fills_a_row_exactly_fits():
    """The limit is inclusive, and two halves make one row."""
    assert pack([1024, 512, 512, 1], [0, 1, 2, 3], 1024) == [[0], [1, 2], [3]]


def test_an_empty_order_gives_no_rows():
    """Nothing to train on is no endless loop."""
    assert pack([], [], 1024) == []


def test_only_the_examples_of_the_order_are_packed():
    """A resumed epoch packs what is left of it."""
    assert pack([10, 20, 30, 40], [3, 1], 64) == [[3, 1]]


def test_the_order_is_a_permutation_fixed_for_ever():
    """These numbers are part of the checkpoint format: another order would make resumed runs skip and repeat examples."""
    assert epoch_order(10, 42, 0) == [8, 6, 0, 9, 5, 7, 4, 1, 3, 2]
    assert sorted(epoch_order(1000, 7, 3)) == list(range(1000))


def test_epochs_and_seeds_give_different_orders():
    """Each epoch is shuffled anew."""
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}

    assert len(orders) == 25 and tuple(range(50)) not in orders

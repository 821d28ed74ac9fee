"""Curves as cells: what is drawn is what the numbers say, at any number of points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.gate import cells
from tui.widgets import plot


def rows_of(drawn):
    return ["".join(text for text, _ in row) for row in drawn]


def test_100_000_points_keep_the_lowest_and_highest_of_every_column():
    """Reducing the points loses no spike: each column spans exactly its own minimum and maximum."""
    generator = np.random.default_rng(7)
    x, y = np.arange(100_000.0), generator.normal(size=100_000)
    y[31_337] = 40.0
    frame = plot.Frame((0.0, 99_999.0), (-50.0, 50.0), False, False)
    columns, rows = 160, 400
    first, top, bottom = plot._spans(plot.Line(x, y, "raw"), frame, columns, rows)
    place = frame.column(x, columns)

    assert first == 0
    for column in range(columns):
        inside = y[place == column]
        # Joining neighbours may lengthen a span, never shorten it.
        assert top[column] <= frame.row(np.array([inside.max()]), rows)[0]
        assert bottom[column] >= frame.row(np.array([inside.min()]), rows)[0]
    spiked = frame.column(np.array([31_337.0]), columns)[0]
    assert top[spiked] == frame.row(np.array([40.0]), rows)[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(-10, 10), max_size=40),
    st.integers(12, 90), st.integers(3, 24), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_numbers_fill_exactly_the_given_cells(values, width, height, log, is_ascii):
    """Whatever the values are, the drawing has its width and height, and never raises."""
    y = np.clip(np.array(values, dtype=float), -1e30, 1e30)
    x = np.arange(len(y), dtype=float)
    drawn = rows_of(plot.draw([plot.Line(x, y, "smooth")], (0.0, max(1.0, len(y))), width, height, log=log, ascii=is_ascii))

    assert len(drawn) == height
    assert {cells(row) for row in drawn} == {width}


def test_a_rising_line_rises():
    """The first value is in the lowest row, the last in the highest."""
    x = np.arange(50.0)
    drawn = rows_of(plot.draw([plot.Line(x, x, "smooth")], (0.0, 49.0), 60, 12))

    assert drawn[0].rstrip()[-1] not in " │┤"
    assert drawn[9][plot.LABEL_CELLS] != " "


@pytest.mark.parametrize(("low", "high"), [(2.29, 3.04), (0.9, 1.1), (1.2, 4.9), (1e-5, 9e-5), (-3.0, 12.0)])
@pytest.mark.parametrize("height", [8, 16, 30])
def test_the_scale_can_be_read(low, high, height):
    """Two values at least stand at the left."""
    drawn = rows_of(plot.draw([plot.Line(np.array([1.0, 2.0]), np.array([low, high]), "smooth")], (0.0, 2.0), 60, height))

    assert sum(row[: plot.LABEL_CELLS - 2].strip() != "" for row in drawn[:-2]) >= 2


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_the_steps_below_the_curve_are_whole(steps):
    """A run of few steps has no half ones."""
    x = np.arange(1.0, steps + 1)
    drawn = rows_of(plot.draw([plot.Line(x, x, "smooth")], (0.0, float(steps)), 110, 12))

    assert drawn[-1].split() == [str(step) for step in range(steps + 1)]


def test_ascii_means_ascii():
    """With --ascii no cell holds anything else."""
    x = np.arange(50.0)
    drawn = rows_of(plot.draw([plot.Line(x, np.sin(x), "raw"), plot.Line(x, np.cos(x), "smooth", "o")], (0.0, 49.0), 60, 12, ascii=True))

    assert "".join(drawn).isascii()


def test_lines_differ_without_colour():
    """Each line of a comparison carries its own mark."""
    x = np.arange(200.0)
    drawn = "".join(rows_of(plot.draw([plot.Line(x, x, "line0", "●"), plot.Line(x, 200 - x, "line1", "◆")], (0.0, 199.0), 80, 16)))

    assert "●" in drawn
    assert "◆" in drawn


def test_smoothing_keeps_a_constant_and_passes_over_holes():
    """The mean of equal values is the value; NaN counts as absent."""
    y = np.full(100, 2.0)
    y[10:20] = np.nan

    assert np.allclose(plot.smooth(y, 30), 2.0)


@given(st.floats(-1e12, 1e12))
def test_a_tick_fits_its_column(value):
    """A label is at most as wide as its place; the axis never moves."""
    assert len(plot.number(value)) <= plot.LABEL_CELLS - 2

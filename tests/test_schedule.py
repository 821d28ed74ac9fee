"""The learning rate over a run."""

import math

import pytest

from engine.schedule import learning_rate


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("max_steps", [1, 2, 10, 1000])
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.03, 0.5, 1.0])
def test_every_step_learns_and_none_exceeds_the_peak(scheduler, max_steps, warmup_ratio):
    """No step of any run is wasted on a rate of 0."""
    rates = [learning_rate(step, max_steps, 2e-4, scheduler, warmup_ratio) for step in range(1, max_steps + 1)]

    assert all(0 < rate <= 2e-4 for rate in rates)


def test_warm_up_rises_in_equal_steps_to_the_peak():
    """ceil(0.1 × 40) = 4 steps of a quarter each."""
    rates = [learning_rate(step, 40, 1.0, "cosine", 0.1) for step in (1, 2, 3, 4, 5)]

    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_is_half_the_peak_in_the_middle():
    """Half-way through the decay the cosine stands at one half; linear too."""
    assert learning_rate(51, 100, 1.0, "cosine", 0.0) == pytest.approx(0.5)
    assert learning_rate(51, 100, 1.0, "linear", 0.0) == pytest.approx(0.5)
    assert learning_rate(100, 100, 1.0, "cosine", 0.0) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.99)))

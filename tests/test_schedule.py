"""The learning rate over a run."""

import math

import pytest

from engine.config import Train
from engine.schedule import learning_rate

PEAK_1 = {"learning_rate": 1.0, "warmup_ratio": 0.0}


def rates(max_steps: int, **train: object) -> list[float]:
    return [learning_rate(step, max_steps, Train(**train)) for step in range(1, max_steps + 1)]


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant", "wsd"])
@pytest.mark.parametrize("max_steps", [1, 2, 10, 1000])
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.03, 0.5, 1.0])
def test_every_step_learns_and_none_exceeds_the_peak(scheduler, max_steps, warmup_ratio):
    """No step of any run is wasted on a rate of 0."""
    assert all(0 < rate <= 2e-4 for rate in rates(max_steps, scheduler=scheduler, warmup_ratio=warmup_ratio))


def test_warm_up_rises_in_equal_steps_to_the_peak():
    """ceil(0.1 × 40) = 4 steps of a quarter each."""
    assert rates(40, learning_rate=1.0, warmup_ratio=0.1)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_is_half_the_peak_in_the_middle():
    """Half-way through the decay the cosine stands at one half; linear too."""
    assert rates(100, **PEAK_1)[50] == pytest.approx(0.5)
    assert rates(100, scheduler="linear", **PEAK_1)[50] == pytest.approx(0.5)
    assert rates(100, **PEAK_1)[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.99)))


def test_wsd_stays_at_the_peak_and_falls_by_one_minus_the_root():
    """The last 20 of 100 steps fall; a quarter into them half is left. Where warm-up leaves less room, the fall is shorter."""
    found = rates(100, scheduler="wsd", decay_ratio=0.2, **PEAK_1)
    crowded = rates(10, scheduler="wsd", decay_ratio=1.0, learning_rate=1.0, warmup_ratio=0.5)

    assert found[:81] == [1.0] * 81
    assert found[85] == pytest.approx(0.5)
    assert found[80:] == sorted(found[80:], reverse=True)
    assert crowded[4] == 1.0 and crowded[5:] == pytest.approx([1 - math.sqrt(left / 5) for left in range(5)])


@pytest.mark.parametrize("scheduler", ["cosine", "wsd"])
def test_a_schedule_free_optimiser_has_no_decay(scheduler):
    """Its average does the work of one; warm-up stays."""
    assert rates(10, optimizer="schedule_free", scheduler=scheduler, learning_rate=1.0, warmup_ratio=0.2) == [0.5] + [1.0] * 9

"""Which saved step is the best one."""

import math

import pytest

from engine.progress import Progress


@pytest.mark.parametrize(
    ("last_eval", "best", "then"),
    [
        (None, None, None),
        ((4, 1.5), None, (1.5, 4)),
        ((4, 1.5), (1.0, 2), (1.0, 2)),
        ((4, 0.5), (1.0, 2), (0.5, 4)),
        ((2, 0.5), (1.0, 1), (1.0, 1)),
        ((4, math.nan), None, None),
        ((4, math.nan), (1.0, 2), (1.0, 2)),
    ],
    ids=["no evaluation", "first", "worse", "better", "of an older step", "no number", "no number after one"],
)
def test_the_best_step_is_one_that_was_evaluated_and_is_saved(last_eval, best, then):
    """Only an evaluation of this very step counts, and only a number."""
    progress = Progress(step=4, last_eval=last_eval, best=best)

    assert progress.best_once_saved() == then
    assert progress.best == best

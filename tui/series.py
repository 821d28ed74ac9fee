"""Numbers by step, growing: what the chart draws. Plain arrays, so that 100,000 steps are 6 MB and an append costs nothing."""

from array import array
from bisect import bisect_right

from engine.events import Step

COLUMNS = ("loss", "thinking_loss", "answer_loss", "learning_rate", "grad_norm", "tokens_per_s", "peak_memory_gib")
LARGEST_STEP = 2**53
"""Beyond it a float no longer tells two steps apart; no real run gets there, a damaged log may."""


class Series:
    """Strictly rising steps and one column a metric; missing values are NaN."""

    def __init__(self) -> None:
        self.steps = array("d")
        self.columns = {name: array("d") for name in COLUMNS}

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last_step(self) -> int:
        """The newest step, 0 before the first."""
        return int(self.steps[-1]) if self.steps else 0

    def append(self, event: Step) -> None:
        """Add one step. One that is there already, or steps after it, are replaced: they were done again."""
        if not 0 <= event.step < LARGEST_STEP:
            return
        if self.steps and event.step <= self.steps[-1]:
            self.cut_after(event.step - 1)
        self.steps.append(event.step)
        for name, column in self.columns.items():
            value = getattr(event, name)
            column.append(float("nan") if value is None else value)

    def cut_after(self, step: int) -> None:
        """Drop all that follows `step`."""
        keep = bisect_right(self.steps, step)
        del self.steps[keep:]
        for column in self.columns.values():
            del column[keep:]

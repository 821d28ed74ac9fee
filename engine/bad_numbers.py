"""Numbers that are none, and losses that leap: counted, told with the records that caused them, and an end when they don't stop.

Weights are left alone by a step whose gradient is not finite (`engine.train_step`); here is what the run makes of it.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec
import torch

from data.examples import Example
from engine.batches import build_micro_batch
from engine.errors import EnvironmentFault
from engine.loading import LoadedModel
from engine.out_of_memory import out_of_memory_words
from engine.train_step import StepStats, score

BAD_STEPS_ALLOWED = 5
"""Steps in a row without a finite gradient before the run ends; a loss scaler finding its scale needs a few."""
KNOWN_AFTER = 20
"""Steps before a loss can be called unusual."""
FORGETTING = 0.05
"""Weight of the newest loss in the averages: about the last 40 steps count."""
LEAP = 6.0
"""Standard deviations above the average that make a spike; a step of few examples wavers by two or three."""
NAMED = 5
"""Records named in one warning, worst first."""


class LossAverages(msgspec.Struct, frozen=True):
    """Moving average and variance of the loss, saved with a checkpoint so that a resumed run flags the same steps.

    variance: half the mean square of what lies between one step and the next, so that a loss that falls
    is not taken for one that wavers (von Neumann 1941).  last: the newest loss, 0 where none is known.
    """

    steps: int = 0
    mean: float = 0.0
    variance: float = 0.0
    last: float = 0.0

    @property
    def highest_usual(self) -> float:
        """A loss above this is a spike; infinite as long as too little is known."""
        if self.steps < KNOWN_AFTER:
            return math.inf
        return self.mean + max(LEAP * math.sqrt(self.variance), 0.25 * self.mean)

    def with_loss(self, loss: float) -> "LossAverages":
        """The averages after one more step; a spike counts as the highest usual loss, so that it does not hide the next one."""
        loss = min(loss, self.highest_usual)
        weight = max(FORGETTING, 1 / (self.steps + 1))
        leap = loss - (self.last or loss)
        variance = (1 - weight) * self.variance + weight * leap * leap / 2
        return LossAverages(self.steps + 1, self.mean + weight * (loss - self.mean), variance, loss)


class NumberWatch:
    """Looks at every step's numbers. averages, bad_steps: go into a checkpoint and come back from it."""

    def __init__(self, warn: Callable[[str, str], None], averages: LossAverages, bad_steps: int):
        self.averages, self.bad_steps, self._warn = averages, bad_steps, warn

    def see(self, step: int, stats: StepStats, records: Callable[[], str]) -> None:
        """Judge the step just taken. records: names those of the step, asked for only when something is wrong.

        Raises EnvironmentFault when too many steps in a row had no finite gradient.
        """
        loss = stats.sums.mean
        if stats.applied and math.isfinite(loss):
            self.bad_steps = 0
            if loss > (usual := self.averages.highest_usual):
                self._warn("loss_spike", f"step {step}: loss {loss:.3f} leaps above the usual {usual:.3f}; {records()}")
            self.averages = self.averages.with_loss(loss)
            return
        self.bad_steps += 1
        what = "the loss" if stats.applied else "the gradient"
        after = "" if stats.applied else "; the weights were left as they were"
        self._warn("not_finite", f"step {step}: {what} is not finite{after}; {records()}")
        if self.bad_steps > BAD_STEPS_ALLOWED:
            raise EnvironmentFault(
                f"{self.bad_steps} steps in a row with numbers that are not finite; lower train.learning_rate or set "
                "model.precision = 'fp32', then resume: the last checkpoint is good"
            )


def check_weights(parameters: Iterable[torch.Tensor]) -> None:
    """Raise EnvironmentFault rather than let weights that are not finite be saved."""
    if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
        raise EnvironmentFault(
            "the weights are not finite and are not saved; lower train.learning_rate, then resume from the last checkpoint, which is good"
        )


def name_records(model: LoadedModel | None, examples: Sequence[Example], place: Callable[[Example], str]) -> str:
    """The records behind `examples` with the loss each has now, the worst first: "its records: data.jsonl:88 (loss 12.30), …".

    model: None leaves the losses out.
    """
    try:
        losses = [(_loss_of(model, example) if model else 0.0, place(example)) for example in examples]
    except RuntimeError as error:
        out_of_memory_words(error)
        return name_records(None, examples, place)
    worst = sorted(losses, key=lambda found: math.inf if math.isnan(found[0]) else found[0], reverse=True)[:NAMED]
    more = f" and {len(losses) - NAMED} more" if len(losses) > NAMED else ""
    return f"its records: {', '.join(f'{name} (loss {loss:.2f})' if model else name for loss, name in worst)}{more}"


def _loss_of(model: LoadedModel, example: Example) -> float:
    """Nats per supervised token of one example, without dropout and without touching a random state."""
    model.peft.eval()
    try:
        losses = score(model, build_micro_batch([example], model.device))[0]
        return losses.double().mean().item() if len(losses) else 0.0
    finally:
        model.peft.train()

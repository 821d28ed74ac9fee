"""One optimiser step: forward and backward of its micro-batches, clipping, update.

The loss is normalised by the supervised tokens of the whole step, so any split into micro-batches gives the same gradient.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from engine.batches import MicroBatch
from engine.block import side_by_side
from engine.loading import LoadedModel
from engine.loss import supervised_loss, token_scores
from engine.ranks import ALONE, Ranks
from engine.schedule_free import ScheduleFreeAdamW


@dataclass(frozen=True)
class PartSums:
    """A value of each supervised token (nats; 1 for a right one) summed by part, and the token counts."""

    thinking: float = 0.0
    answer: float = 0.0
    thinking_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.thinking_tokens + self.answer_tokens

    @property
    def mean(self) -> float:
        """Per supervised token; 0 when there were none."""
        return (self.thinking + self.answer) / max(1, self.tokens)

    @property
    def thinking_mean(self) -> float | None:
        return self.thinking / self.thinking_tokens if self.thinking_tokens else None

    @property
    def answer_mean(self) -> float | None:
        return self.answer / self.answer_tokens if self.answer_tokens else None


@dataclass(frozen=True)
class StepStats:
    """sums: nats of the step.  grad_norm: before clipping.  tokens: real tokens.  applied: whether the weights changed."""

    sums: PartSums
    grad_norm: float
    tokens: int
    applied: bool


class Updater:
    """The optimiser, the gradient scaler and the trainable parameters, as one thing a step needs."""

    def __init__(self, parameters: list[Tensor], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, max_grad_norm: float):
        self.parameters, self.optimizer, self.scaler, self.max_grad_norm = parameters, optimizer, scaler, max_grad_norm
        self._is_unscaled = False
        """Whether the scaler has seen this step's gradients."""
        self._gradients = side_by_side(parameters) if all(_is_in_heap(parameter) for parameter in parameters) else []
        self._forget_gradients()

    def apply(self, learning_rate: float) -> tuple[float, bool]:
        """Clip, update, clear; return the norm before clipping and whether it was finite (a non-finite step changes nothing)."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_ratio", 1.0)
        self._is_unscaled = True
        self.scaler.unscale_(self.optimizer)
        limit = self.max_grad_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit).item()
        finite = norm - norm == 0
        if finite or self.scaler.is_enabled():
            # An enabled scaler sees the non-finite gradient itself, skips the update and lowers its scale.
            self._step()
            self.scaler.update()
            self._is_unscaled = False
        self._forget_gradients()
        return norm, finite

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        """The weights as they are evaluated, sampled and saved: the average where the optimiser keeps one, else those being trained."""
        if isinstance(self.optimizer, ScheduleFreeAdamW):
            self.optimizer.take_average()
        try:
            yield
        finally:
            self.back_to_training()

    def back_to_training(self) -> None:
        """The weights as training goes on with them, from those that `judged` gives and that a checkpoint holds."""
        if isinstance(self.optimizer, ScheduleFreeAdamW):
            self.optimizer.take_training_point()

    def clear(self) -> None:
        """Forget gradients of an abandoned step, and that the scaler has seen them."""
        self._forget_gradients()
        if self._is_unscaled and self.scaler.is_enabled():  # before its first step it has no scale that could be set
            self.scaler.update(self.scaler.get_scale())
        self._is_unscaled = False

    def _forget_gradients(self) -> None:
        """On a CPU they have a lasting place of their own, elsewhere they are made anew."""
        self.optimizer.zero_grad(set_to_none=True)
        for parameter, gradient in zip(self.parameters, self._gradients, strict=False):
            parameter.grad = gradient.zero_()

    def _step(self) -> None:
        """The update. Moments are made at the first one: those half made when memory runs out are forgotten."""
        new = [parameter for parameter in self.parameters if parameter not in self.optimizer.state]
        try:
            self.scaler.step(self.optimizer)
        except BaseException:
            for parameter in new:
                self.optimizer.state.pop(parameter, None)
            raise


def _is_in_heap(parameter: Tensor) -> bool:
    return parameter.device.type == "cpu" and not isinstance(parameter, DTensor)


def train_step(
    model: LoadedModel, micro_batches: Sequence[MicroBatch], updater: Updater, learning_rate: float, ranks: Ranks = ALONE
) -> StepStats:
    """Run one optimiser step over `micro_batches`, this rank's share. One synchronisation with the device, at the end."""
    supervised, tokens = ranks.total([sum(len(batch.targets) for batch in micro_batches), sum(batch.tokens for batch in micro_batches)])
    with ranks.all_or_none():
        sums = [backward(model, batch, updater.scaler, int(supervised)) for batch in micro_batches]
    ranks.add_gradients(updater.parameters)
    norm, applied = updater.apply(learning_rate)
    return StepStats(read_sums(sums, ranks), norm, int(tokens), applied)


def backward(model: LoadedModel, batch: MicroBatch, scaler: torch.amp.GradScaler, supervised: int) -> Tensor:
    """Add one micro-batch's gradient, divided by the step's `supervised` tokens; return its (4,) sums on the device."""
    loss, losses = forward(model, batch)
    scaler.scale(loss / max(1, supervised)).backward()
    return part_sums(losses, batch.is_thinking)


def forward(model: LoadedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Summed loss with gradient, and the (N,) losses of the supervised tokens."""
    hidden = model.hidden(batch.input_ids, batch.position_ids, batch.lengths, batch.rows)
    with model.autocast():
        return supervised_loss(hidden, batch.targets, model.head, model.vocabulary, model.chunk_bytes)


def score(model: LoadedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Without gradient: the (N,) losses of the supervised tokens, and whether each is the likeliest token."""
    with torch.no_grad():
        hidden = model.hidden(batch.input_ids, batch.position_ids, batch.lengths, batch.rows)
        with model.autocast():
            return token_scores(hidden, batch.targets, model.head, model.vocabulary, model.chunk_bytes)


def part_sums(values: Tensor, is_thinking: Tensor) -> Tensor:
    """(4,) fp64: the summed (N,) `values` of thinking and of answer, then their token counts; stays on the device."""
    thinking = is_thinking.double()
    values = values.double()
    return torch.stack([(values * thinking).sum(), (values * (1 - thinking)).sum(), thinking.sum(), (1 - thinking).sum()])


def read_sums(sums: Sequence[Tensor], ranks: Ranks = ALONE) -> PartSums:
    """Bring the sums of all micro-batches to the host in one transfer, and add up the ranks'."""
    if not sums:
        return PartSums()
    thinking, answer, thinking_tokens, answer_tokens = ranks.total(torch.stack(list(sums)).sum(0).tolist())
    return PartSums(thinking, answer, int(thinking_tokens), int(answer_tokens))

"""The longest micro-batch of the first epoch once forward and backward before step 1, so that what does not fit fails in minute one.

The order of training stays as it is, the gradient is thrown away, and every step seeds its own random numbers: no bit changes.
"""

from collections.abc import Sequence

import torch

from data.examples import Example
from engine.batches import StepPlan, build_micro_batch, in_micro_batches
from engine.loading import LoadedModel
from engine.ranks import ALONE, Ranks
from engine.train_step import Updater, backward


def longest_micro_batch(steps: StepPlan, lengths: Sequence[int], batch_size: int, max_tokens: int | None) -> list[int]:
    """Example numbers of the micro-batch, in pieces of `max_tokens`, with the most tokens; of equals the one with the longest example."""
    batches = (
        batch
        for rows in steps.first_epoch()
        for batch in in_micro_batches(rows, batch_size, max_tokens, lengths.__getitem__)
    )
    return max(batches, key=lambda batch: (sum(lengths[index] for index in batch), max(lengths[index] for index in batch)))


def longest_tokens(steps: StepPlan, lengths: Sequence[int], batch_size: int, max_tokens: int | None) -> int:
    """Tokens of the longest micro-batch of `batch_size` rows, or of its longest piece."""
    return sum(lengths[index] for index in longest_micro_batch(steps, lengths, batch_size, max_tokens))


def try_longest(
    model: LoadedModel, examples: Sequence[Example], steps: StepPlan, batch_size: int, max_tokens: int | None, updater: Updater,
    ranks: Ranks = ALONE,
) -> None:  # fmt: skip
    """Raise what the longest micro-batch, in pieces of `max_tokens`, raises; leave no gradient behind."""
    chosen = longest_micro_batch(steps, [len(example.ids) for example in examples], batch_size, max_tokens)
    batch = build_micro_batch([examples[index] for index in chosen], model.device)
    with ranks.all_or_none():
        backward(model, batch, updater.scaler, max(1, len(batch.targets)))
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    updater.clear()

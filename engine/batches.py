"""Which examples an optimiser step sees, as a pure function of seed and position, and their tensors.

A micro-batch is one flat row of whole examples without padding; attention keeps them apart by `lengths`.
Order is f(seed, epoch) and a position is one integer, so resuming computes its place instead of skipping to it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.examples import ANSWER, THINKING, Example
from data.packing import epoch_order, pack


@dataclass(frozen=True)
class MicroBatch:
    """input_ids, position_ids: (1, T) int64.  lengths: tokens of each example.  rows: (N,) positions whose next token is
    supervised.  targets: (N,) those tokens.  is_thinking: (N,) bool."""

    input_ids: Tensor
    position_ids: Tensor
    lengths: tuple[int, ...]
    rows: Tensor
    targets: Tensor
    is_thinking: Tensor

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


def build_micro_batch(examples: Sequence[Example], device: torch.device) -> MicroBatch:
    """Concatenate `examples`; the first token of an example is never a target of the one before it."""
    lengths = tuple(len(example.ids) for example in examples)
    ids = torch.tensor([token for example in examples for token in example.ids])
    parts = torch.frombuffer(bytearray(b"".join(bytes(example.parts) for example in examples)), dtype=torch.uint8)
    starts = torch.tensor(lengths).cumsum(0) - torch.tensor(lengths)
    supervised = (parts == THINKING) | (parts == ANSWER)
    supervised[starts] = False
    at = supervised.nonzero().squeeze(1)
    positions = torch.cat([torch.arange(length) for length in lengths])
    return MicroBatch(
        input_ids=ids[None].to(device, non_blocking=True),
        position_ids=positions[None].to(device, non_blocking=True),
        lengths=lengths,
        rows=(at - 1).to(device, non_blocking=True),
        targets=ids[at].to(device, non_blocking=True),
        is_thinking=(parts[at] == THINKING).to(device, non_blocking=True),
    )


class StepPlan:
    """Rows of every optimiser step of the run: `rows(step)` for step 1, 2, … max_steps."""

    def __init__(self, lengths: Sequence[int], *, row_length: int, packing: bool, rows_per_step: int, num_epochs: float,
                 max_steps: int | None, seed: int):  # fmt: skip
        """lengths: tokens of each training example.  row_length: longest packed row in tokens.
        rows_per_step: batch_size × gradient_accumulation_steps."""
        self._lengths, self._row_length, self._packing = lengths, row_length, packing
        self._rows_per_step, self._seed = rows_per_step, seed
        self._epochs: list[list[list[int]]] = []
        self._first_step: list[int] = [1]
        self.steps_per_epoch = self._steps_in(0)
        self.max_steps = max_steps or self._steps_of(num_epochs)

    def rows(self, step: int) -> list[list[int]]:
        """Example numbers of each row of `step` (1-based); the last step of an epoch may hold fewer rows."""
        epoch = self._epoch_of(step)
        start = (step - self._first_step[epoch]) * self._rows_per_step
        return self._epochs[epoch][start : start + self._rows_per_step]

    def epoch_at(self, step: int) -> float:
        """Epochs finished after `step`, as a fraction."""
        epoch = self._epoch_of(step)
        return epoch + (step - self._first_step[epoch] + 1) / self._steps_in(epoch)

    def _epoch_of(self, step: int) -> int:
        epoch = 0
        while step >= self._first_step[epoch] + self._steps_in(epoch):
            epoch += 1
        return epoch

    def _steps_in(self, epoch: int) -> int:
        while len(self._epochs) <= epoch:
            order = epoch_order(len(self._lengths), self._seed, len(self._epochs))
            rows = pack(self._lengths, order, self._row_length) if self._packing else [[index] for index in order]
            self._epochs.append(rows)
            self._first_step.append(self._first_step[-1] + math.ceil(len(rows) / self._rows_per_step))
        return math.ceil(len(self._epochs[epoch]) / self._rows_per_step)

    def _steps_of(self, num_epochs: float) -> int:
        whole = int(num_epochs)
        steps = sum(self._steps_in(epoch) for epoch in range(whole))
        if num_epochs > whole:
            steps += math.ceil((num_epochs - whole) * self._steps_in(whole))
        return max(1, steps)


def in_micro_batches(
    rows: Sequence[Sequence[int]], batch_size: int, max_tokens: int | None = None, tokens_of: Callable[[int], int] = lambda number: 0
) -> Iterator[list[int]]:
    """Example numbers of each micro-batch: `batch_size` rows, in pieces of at most `max_tokens` tokens or one longer example.

    tokens_of: length of an example by its number, asked where there is a `max_tokens`.
    """
    for start in range(0, len(rows), batch_size):
        room, piece = max_tokens or 0, []
        for number in [number for row in rows[start : start + batch_size] for number in row]:
            length = tokens_of(number)
            if max_tokens is not None and piece and length > room:
                yield piece
                room, piece = max_tokens, []
            piece.append(number)
            room -= length
        yield piece

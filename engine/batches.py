"""Which examples an optimiser step sees, as a pure function of seed and position, and their tensors.

A micro-batch is one flat row of whole examples without padding; attention keeps them apart by `lengths`.
Order is f(seed, epoch) and a position is one integer, so resuming computes its place instead of skipping to it. Where a resumed run
got another batch, its place in the data goes on and steps are counted on from there.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
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


class Origin(msgspec.Struct, frozen=True):
    """Where the steps were last laid out anew, because a resumed run got another batch: behind `step`, at `row` of `epoch`."""

    step: int = 0
    epoch: int = 0
    row: int = 0


BEGINNING = Origin()


class StepPlan:
    """Rows of every optimiser step of the run: `rows(step)` for the steps behind the origin's, up to max_steps."""

    def __init__(self, lengths: Sequence[int], *, row_length: int, packing: bool, rows_per_step: int, num_epochs: float,
                 max_steps: int | None, seed: int, origin: Origin = BEGINNING):  # fmt: skip
        """lengths: tokens of each training example.  row_length: longest packed row in tokens.
        rows_per_step: batch_size × gradient_accumulation_steps."""
        self._lengths, self._row_length, self._packing = lengths, row_length, packing
        self._rows_per_step, self._seed = rows_per_step, seed
        self.origin = origin
        self._epochs: list[list[list[int]]] = []
        self._first_step: list[int] = [origin.step + 1]
        """Of the epochs from the origin's on."""
        self.steps_per_epoch = self._steps_to(len(self._rows_of(0)), 0)
        self.max_steps = max_steps or max(1, origin.step + self._steps_of(num_epochs, origin))
        self._shift = 0 if max_steps else max(1, self._steps_of(num_epochs, BEGINNING)) - self.max_steps

    def rows(self, step: int) -> list[list[int]]:
        """Example numbers of each row of `step` (1-based); the last step of an epoch may hold fewer rows."""
        epoch = self._epoch_of(step)
        start = self._begin(epoch) + (step - self._first(epoch)) * self._rows_per_step
        return self._rows_of(epoch)[start : start + self._rows_per_step]

    def first_epoch(self) -> list[list[list[int]]]:
        """Rows of each step of a first epoch that begins at its beginning."""
        rows = self._rows_of(0)
        return [rows[start : start + self._rows_per_step] for start in range(0, len(rows), self._rows_per_step)]

    def epoch_at(self, step: int) -> float:
        """Epochs finished after `step`, as a fraction."""
        place = self.place_after(step)
        return place.epoch + place.row / len(self._rows_of(place.epoch))

    def place_after(self, step: int) -> Origin:
        """Where the run stands in its data after `step`, whatever the batch is from there on."""
        if step == self.origin.step:
            return self.origin
        epoch = self._epoch_of(step)
        row = self._begin(epoch) + (step - self._first(epoch) + 1) * self._rows_per_step
        return Origin(step, epoch, row) if row < len(self._rows_of(epoch)) else Origin(step, epoch + 1, 0)

    def in_schedule(self, step: int) -> tuple[int, int]:
        """`step` and `max_steps` as they were if the whole run had this batch: a change of batch is no leap of the learning rate."""
        return step + self._shift, self.max_steps + self._shift

    def _epoch_of(self, step: int) -> int:
        epoch = self.origin.epoch
        while step >= self._first(epoch + 1):
            epoch += 1
        return epoch

    def _first(self, epoch: int) -> int:
        """First step of an epoch, of the origin's the first one behind it."""
        while len(self._first_step) <= epoch - self.origin.epoch:
            last = self.origin.epoch + len(self._first_step) - 1
            self._first_step.append(self._first_step[-1] + self._steps_to(len(self._rows_of(last)), self._begin(last)))
        return self._first_step[epoch - self.origin.epoch]

    def _begin(self, epoch: int) -> int:
        return self.origin.row if epoch == self.origin.epoch else 0

    def _rows_of(self, epoch: int) -> list[list[int]]:
        while len(self._epochs) <= epoch:
            order = epoch_order(len(self._lengths), self._seed, len(self._epochs))
            self._epochs.append(pack(self._lengths, order, self._row_length) if self._packing else [[index] for index in order])
        return self._epochs[epoch]

    def _steps_to(self, row: int, begin: int) -> int:
        return max(0, math.ceil((row - begin) / self._rows_per_step))

    def _steps_of(self, num_epochs: float, origin: Origin) -> int:
        """Steps from `origin` to the end."""
        steps, whole = 0, int(num_epochs)
        for epoch in range(origin.epoch, math.ceil(num_epochs)):
            rows = len(self._rows_of(epoch))
            if epoch == whole:
                rows = min(rows, math.ceil((num_epochs - whole) * self._steps_to(rows, 0)) * self._rows_per_step)
            steps += self._steps_to(rows, origin.row if epoch == origin.epoch else 0)
        return steps


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

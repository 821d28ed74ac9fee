"""The frozen weight of linears that share an input, stacked by rows: dense, narrow, or packed by bitsandbytes in 4 or 8 bits.

A packed weight is unpacked into the compute type for the one product that needs it, forwards and backwards, and nothing of it is kept.
8-bit ones are multiplied that way as well: LLM.int8's own product rounds the activations too, which its gradient knows nothing of.
Not here: how weights get packed (`engine.loading`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.fused.products import add_times, times, times_transposed, times_transposed_into

PIECE_BYTES = {"cpu": 4 << 20, "cuda": 128 << 20}
"""Of a widened weight at a time: what a CPU's caches hold, and products that fill a GPU."""


class FrozenWeight(Protocol):
    """(out, in), the only copy of it."""

    def times_transposed(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x weightᵀ + bias: (T, out) of (T, in), in x's type, the compute type."""
        ...

    def times(self, x: Tensor) -> Tensor:
        """x weight: (T, in) of (T, out), in x's type, the compute type."""
        ...


@dataclass(frozen=True)
class Dense:
    """A weight that lies in the compute type."""

    weight: Tensor

    def times_transposed(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return times_transposed(x, self.weight, bias)

    def times(self, x: Tensor) -> Tensor:
        return times(x, self.weight)


@dataclass(frozen=True)
class Narrow:
    """Linears in a narrower type than the compute type, such as bf16 as published in a run in fp32. They stay where they are, on a CPU in
    the file that they are mapped from, and are widened, which is exact, a piece at a time."""

    linears: Sequence[nn.Linear]

    def times_transposed(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        y = x.new_empty(len(x), sum(linear.out_features for linear in self.linears))
        for rows, piece in self._pieces(x.dtype):
            times_transposed_into(y[:, rows], x, piece)
        return y if bias is None else y.add_(bias)

    def times(self, x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), self.linears[0].in_features)
        for rows, piece in self._pieces(x.dtype):
            add_times(y, x[:, rows], piece)
        return y

    def _pieces(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """Ranges of the stacked rows, and those rows in `dtype`."""
        end = 0
        for linear in self.linears:
            weight = linear.weight.data
            for piece in weight.split(max(1, PIECE_BYTES[weight.device.type] // (dtype.itemsize * linear.in_features))):
                start, end = end, end + len(piece)
                yield slice(start, end), piece.to(dtype)


@dataclass(frozen=True)
class Packed:
    """Linears of which at least one is packed; they stay as they are, so peft and bitsandbytes see the same tensors."""

    linears: Sequence[nn.Linear]

    def times_transposed(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return times_transposed(x, self.unpacked(x.dtype), bias)

    def times(self, x: Tensor) -> Tensor:
        return times(x, self.unpacked(x.dtype))

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        if len(self.linears) == 1:
            return _unpacked(self.linears[0], dtype)
        sizes = [linear.out_features for linear in self.linears]
        stacked = torch.empty(sum(sizes), self.linears[0].in_features, dtype=dtype, device=self.linears[0].weight.device)
        for linear, rows in zip(self.linears, stacked.split(sizes), strict=True):
            rows.copy_(_unpacked(linear, dtype))
        return stacked


def frozen_weight(linears: Sequence[nn.Linear], dtype: torch.dtype) -> FrozenWeight:
    """The weights of `linears` as one; dense ones become views of one stacked tensor, so nothing is held twice. dtype: the compute type."""
    if any(_is_packed(linear) for linear in linears):
        return Packed(linears)
    if linears[0].weight.dtype != dtype:
        return Narrow(linears)
    if len(linears) == 1 and not linears[0].weight.is_cuda:
        return Dense(linears[0].weight.data)
    stacked = torch.cat([linear.weight.data for linear in linears])
    for linear, rows in zip(linears, stacked.split([linear.out_features for linear in linears]), strict=True):
        linear.weight.data = rows
    return Dense(stacked)


def make_way(linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
    """Move the dense weights of a layer on a GPU aside, before `frozen_weight` takes them: what they leave together is one hole, which the
    stacked ones fill. Stacked where they lie, they leave holes between others that nothing fits: 1.07 GiB of Qwen3-4B (docs/log.md)."""
    dense = [linear for linear in linears if linear.weight.is_cuda and linear.weight.dtype == dtype and not _is_packed(linear)]
    copies = [linear.weight.data.clone() for linear in dense]
    for linear, copy in zip(dense, copies, strict=True):
        linear.weight.data = copy


def _is_packed(linear: nn.Linear) -> bool:
    return hasattr(linear.weight, "quant_state") or hasattr(linear.weight, "SCB")


def _unpacked(linear: nn.Linear, dtype: torch.dtype) -> Tensor:
    weight = linear.weight
    if hasattr(weight, "quant_state"):
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(weight.data, weight.quant_state).to(dtype)
    if hasattr(weight, "SCB"):
        # bitsandbytes moves the rows' scales out of the weight at a layer's first own forward pass.
        scales = linear.state.SCB if weight.SCB is None else weight.SCB
        return weight.data.to(dtype).mul_(scales.unsqueeze(1) / 127)
    return weight.data

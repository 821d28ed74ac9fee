"""The frozen weight of linears that share an input, stacked by rows: dense, or packed by bitsandbytes in 4 or 8 bits.

A packed weight is unpacked into the compute type for the one product that needs it, forwards and backwards, and nothing of it is kept.
8-bit ones are multiplied that way as well: LLM.int8's own product rounds the activations too, which its gradient knows nothing of.
Not here: how weights get packed (`engine.loading`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class FrozenWeight(Protocol):
    """(out, in), the only copy of it."""

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        """The weight as products take it. dtype: the compute type."""
        ...


@dataclass(frozen=True)
class Dense:
    """A weight that needs no unpacking: it lies in the compute type."""

    weight: Tensor

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        return self.weight


@dataclass(frozen=True)
class Packed:
    """Linears of which at least one is packed; they stay as they are, so peft and bitsandbytes see the same tensors."""

    linears: Sequence[nn.Linear]

    def unpacked(self, dtype: torch.dtype) -> Tensor:
        if len(self.linears) == 1:
            return _unpacked(self.linears[0], dtype)
        sizes = [linear.out_features for linear in self.linears]
        stacked = torch.empty(sum(sizes), self.linears[0].in_features, dtype=dtype, device=self.linears[0].weight.device)
        for linear, rows in zip(self.linears, stacked.split(sizes), strict=True):
            rows.copy_(_unpacked(linear, dtype))
        return stacked


def frozen_weight(linears: Sequence[nn.Linear]) -> FrozenWeight:
    """The weights of `linears` as one; dense ones become views of one stacked tensor, so nothing is held twice."""
    if any(_is_packed(linear) for linear in linears):
        return Packed(linears)
    if len(linears) == 1:
        return Dense(linears[0].weight.data)
    stacked = torch.cat([linear.weight.data for linear in linears])
    for linear, rows in zip(linears, stacked.split([linear.out_features for linear in linears]), strict=True):
        linear.weight.data = rows
    return Dense(stacked)


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

"""Linear maps that share one input, each a frozen weight with or without a LoRA adapter, as one product forwards and backwards.

The base is frozen, so no gradient of its weights exists; gradients are computed for the adapters and, where asked, the input.
Not here: which modules belong together (`engine.fused.decoder`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.fused.dropout import Dropout
from engine.fused.weights import FrozenWeight


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: y += scale · (x Aᵀ) Bᵀ.  a: (r, in).  b: (out, r), both trainable, in fp32."""

    a: Tensor
    b: Tensor
    scale: float


class Cast(NamedTuple):
    """Adapters that share an input, in the compute type.  a: theirs stacked, (sum of r, in).  b: (out, r) of each."""

    a: Tensor
    b: list[Tensor]


BASE_ALONE = Cast(torch.empty(0), [])
"""In place of adapters that are to have no part in a pass."""


class Projections:
    """y = x Wᵀ + bias + adapters, for weights stacked by rows.

    weight: (out, in).  bias: (out,) frozen or None.  outputs: rows of each stacked linear, adapters beside them.
    """

    def __init__(self, weight: FrozenWeight, bias: Tensor | None, outputs: Sequence[int], adapters: Sequence[Adapter | None]):
        self.weight, self.bias = weight, bias
        ends = [sum(outputs[: index + 1]) for index in range(len(outputs))]
        self._adapted = [
            (slice(end - size, end), adapter) for end, size, adapter in zip(ends, outputs, adapters, strict=True) if adapter is not None
        ]

    @property
    def parameters(self) -> list[Tensor]:
        """Trainable tensors: A and B of each adapter in turn, as `backward` gives their gradients."""
        return [tensor for _, adapter in self._adapted for tensor in (adapter.a, adapter.b)]

    def cast(self, dtype: torch.dtype) -> Cast:
        """The adapters for products in `dtype`."""
        return Cast(torch.cat([adapter.a for _, adapter in self._adapted]).to(dtype), [adapter.b.to(dtype) for _, adapter in self._adapted])

    def forward(self, x: Tensor, dropout: Dropout | None = None, cast: Cast | None = None) -> tuple[Tensor, Tensor | None]:
        """x: (T, in).  cast: the adapters, where they were cast before.  Returns y (T, out) and the adapters' inner states (T, sum of r),
        which `backward` needs."""
        y = self.weight.times_transposed(x, self.bias)
        if not self._adapted or cast is BASE_ALONE:
            return y, None
        cast = cast or self.cast(x.dtype)
        inner = torch.mm(x if dropout is None else x * dropout.factors(x), cast.a.t())
        for (rows, adapter), b, part in zip(self._adapted, cast.b, self._parts(inner), strict=True):
            y[:, rows].addmm_(part, b.t(), alpha=adapter.scale)
        return y, inner

    def backward(
        self, x: Tensor, inner: Tensor | None, dy: Tensor, dropout: Dropout | None = None, wants_dx: bool = True
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Gradients of the input (T, in), None unless wanted, and of `parameters`.  dy: (T, out).  The rest as in the forward pass."""
        dx = self.weight.times(dy) if wants_dx else None
        if inner is None:
            return dx, []
        cast, d_inner = self.cast(x.dtype), torch.empty_like(inner)
        gradients = []
        for (rows, adapter), b, part, d_part in zip(self._adapted, cast.b, self._parts(inner), self._parts(d_inner), strict=True):
            torch.mm(dy[:, rows], b * adapter.scale, out=d_part)
            # The narrow side first: the other order is up to twice as slow on a CPU.
            gradients.append(torch.mm(part.t(), dy[:, rows]).t().float().mul_(adapter.scale))
        factors = None if dropout is None else dropout.factors(x)
        d_a = torch.mm(d_inner.t(), x if factors is None else x * factors).float()
        if dx is not None and factors is None:
            dx.addmm_(d_inner, cast.a)
        elif dx is not None:
            dx.addcmul_(torch.mm(d_inner, cast.a), factors)
        return dx, [tensor for pair in zip(d_a.split([a.a.shape[0] for _, a in self._adapted]), gradients, strict=True) for tensor in pair]

    def _parts(self, inner: Tensor) -> tuple[Tensor, ...]:
        return inner.split([adapter.a.shape[0] for _, adapter in self._adapted], dim=1)

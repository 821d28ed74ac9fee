"""Gradient checkpointing of one layer: only its input is kept, the rest is computed again in backward.

Unlike PyTorch's own, it can be told where a layer's output, the next one's kept input, is to lie (`engine.block` says why).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Run = Callable[[Tensor], Tensor]
"""A layer, from its input to its output, alike whenever it is called."""


def recomputed(run: Run, x: Tensor, parameters: Sequence[Tensor], into: Tensor | None = None) -> Tensor:
    """run(x), of which only `x` is kept.  parameters: all trainable tensors that `run` uses.  into: where the result is to lie."""
    return _Recomputed.apply(run, into, x, *parameters)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, into: Tensor | None, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(x, *parameters)
        y = run(x)
        return y if into is None else into.copy_(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            again = x.detach().requires_grad_(ctx.needs_input_grad[2])
            y = ctx.run(again)
        wanted = [tensor for tensor in (again, *parameters) if tensor.requires_grad]
        found = iter(torch.autograd.grad(y, wanted, gradients[0]))
        return None, None, *(next(found) if tensor.requires_grad else None for tensor in (again, *parameters))

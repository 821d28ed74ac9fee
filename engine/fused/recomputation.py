"""Gradient checkpointing of one layer: only its input is kept, the rest is computed again in backward.

Unlike PyTorch's own, it can be told where a layer's output, the next one's kept input, is to lie (`engine.block` says why), or to keep
the input in the host's memory.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Run = Callable[[Tensor], Tensor]
"""A layer, from its input to its output, alike whenever it is called."""


def recomputed(run: Run, x: Tensor, parameters: Sequence[Tensor], into: Tensor | None = None, in_host: bool = False) -> Tensor:
    """run(x), of which only `x` is kept.  parameters: all trainable tensors that `run` uses.  into: where the result is to lie.

    in_host: `x` is kept in the host's memory and leaves the GPU's, where nothing else holds it.
    """
    return _Recomputed.apply(run, into, in_host, x, *parameters)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, into: Tensor | None, in_host: bool, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.run, ctx.device = run, x.device
        ctx.save_for_backward(_to_host(x) if in_host else x, *parameters)
        y = run(x)
        return y if into is None else into.copy_(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            again = x.detach().to(ctx.device, non_blocking=True).requires_grad_(ctx.needs_input_grad[3])
            y = ctx.run(again)
        wanted = [tensor for tensor in (again, *parameters) if tensor.requires_grad]
        found = iter(torch.autograd.grad(y, wanted, gradients[0]))
        return None, None, None, *(next(found) if tensor.requires_grad else None for tensor in (again, *parameters))


def _to_host(x: Tensor) -> Tensor:
    """A copy in page-locked memory. The host does not wait for it: whatever takes the place of `x` on the GPU, and the way back, come
    later in the same stream."""
    return torch.empty(x.shape, dtype=x.dtype, pin_memory=x.is_cuda).copy_(x, non_blocking=True)

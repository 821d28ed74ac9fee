"""Output head and cross-entropy over supervised positions only, a chunk at a time.

The head is frozen, so the gradient of the hidden states is computed in the same pass as the loss and no logits are kept.
Not here: which positions are supervised (`data.examples`), normalisation over a step (`engine.train_step`).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

CHUNK_BYTES = 128 << 20
"""fp32 logits of one chunk: large enough to fill a GPU's matrix units, small beside any model (220 rows of Qwen3's vocabulary)."""

Head = Callable[[Tensor], Tensor]


def supervised_loss(hidden: Tensor, targets: Tensor, head: Head, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Summed loss in nats, and the loss of each token.

    hidden: (N, D) states of the positions that predict a supervised token, any float dtype.  targets: (N,) int64.
    head: frozen map (n, D) -> (n, V).  Returns a scalar with gradient for `hidden`, and (N,) fp32 without gradient.
    Zero supervised tokens give a zero that still carries (zero) gradient, never NaN.
    """
    return _HeadLoss.apply(hidden, targets, head, max(1, CHUNK_BYTES // (4 * vocabulary)))


class _HeadLoss(torch.autograd.Function):
    """Loss and d(loss)/d(hidden) in one pass; backward only scales what forward has already computed."""

    @staticmethod
    def forward(ctx, hidden: Tensor, targets: Tensor, head: Head, rows: int) -> tuple[Tensor, Tensor]:
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wants_gradient else None
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(targets), rows):
            piece = slice(start, start + rows)
            with torch.set_grad_enabled(wants_gradient):
                chunk = hidden[piece].detach().requires_grad_(wants_gradient)
                chunk_losses = cross_entropy(head(chunk).float(), targets[piece], reduction="none")
            losses[piece] = chunk_losses.detach()
            if gradient is not None:
                (gradient[piece],) = torch.autograd.grad(chunk_losses, chunk, torch.ones_like(chunk_losses))
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None, None

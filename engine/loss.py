"""Output head and cross-entropy over supervised positions only, a chunk at a time.

The head is frozen, so the gradient of the hidden states is computed in the same pass as the loss and no logits are kept.
Not here: which positions are supervised (`data.examples`), normalisation over a step (`engine.train_step`).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.fused.products import times_transposed

CHUNK_BYTES = 128 << 20
"""fp32 logits of one chunk: large enough to fill a GPU's matrix units, small beside any model (220 rows of Qwen3's vocabulary)."""

Head = Callable[[Tensor], Tensor]


def supervised_loss(
    hidden: Tensor, targets: Tensor, head: Head, vocabulary: int, chunk_bytes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Summed loss in nats, and the loss of each token.

    hidden: (N, D) states of the positions that predict a supervised token, any float dtype.  targets: (N,) int64.
    head: frozen map (n, D) -> (n, V).  Returns a scalar with gradient for `hidden`, and (N,) fp32 without gradient.
    chunk_bytes: of fp32 logits at a time, CHUNK_BYTES where it is not given.
    Zero supervised tokens give a zero that still carries (zero) gradient, never NaN.
    """
    return _HeadLoss.apply(hidden, targets, head, max(1, (chunk_bytes or CHUNK_BYTES) // (4 * vocabulary)))


class _HeadLoss(torch.autograd.Function):
    """Loss and d(loss)/d(hidden) in one pass; backward only scales what forward has already computed."""

    @staticmethod
    def forward(ctx, hidden: Tensor, targets: Tensor, head: Head, rows: int) -> tuple[Tensor, Tensor]:
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wants_gradient else None
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        for start in range(0, len(targets), rows):
            piece = slice(start, start + rows)
            losses[piece], chunk_gradient = _chunk(hidden[piece], targets[piece], head, wants_gradient)
            if gradient is not None:
                gradient[piece] = chunk_gradient
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None, None


def _chunk(hidden: Tensor, targets: Tensor, head: Head, wants_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Losses (n,) of a chunk and, where wanted, their gradient for `hidden` (n, D)."""
    if type(head) is torch.nn.Linear and head.bias is None:
        return _linear_chunk(hidden, targets, head.weight, wants_gradient)
    with torch.set_grad_enabled(wants_gradient):
        chunk = hidden.detach().requires_grad_(wants_gradient)
        losses = cross_entropy(head(chunk).float(), targets, reduction="none")
    if not wants_gradient:
        return losses, None
    return losses.detach(), torch.autograd.grad(losses, chunk, torch.ones_like(losses))[0]


def _linear_chunk(hidden: Tensor, targets: Tensor, weight: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """The same for a plain matrix: the logits become probabilities and then their gradient in the one buffer they were computed into."""
    logits = times_transposed(hidden.to(weight.dtype), weight).float()
    highest = logits.amax(1, keepdim=True)
    at = targets[:, None]
    wanted = logits.gather(1, at) - highest
    total = logits.sub_(highest).exp_().sum(1, keepdim=True)
    losses = (total.log() - wanted).squeeze(1)
    if not wants_gradient:
        return losses, None
    ahead = logits.div_(total).scatter_add_(1, at, torch.full_like(wanted, -1.0))
    return losses, times_transposed(ahead.to(weight.dtype), weight.t()).to(hidden.dtype)

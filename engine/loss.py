"""Output head and cross-entropy over supervised positions only, a part of the vocabulary at a time.

The head is frozen, so the gradient of the hidden states is computed in the same pass as the loss and no logits are kept: like attention
over its keys in FlashAttention (arXiv 2205.14135), the softmax is scaled anew whenever a higher logit turns up.
Not here: which positions are supervised (`data.examples`), normalisation over a step (`engine.train_step`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.fused.products import times, times_transposed

CHUNK_BYTES = 128 << 20
"""fp32 logits at a time: enough to fill a GPU's matrix units, small beside any model (13,000 columns for 2,048 rows)."""
CPU_CHUNK_BYTES = 16 << 20
"""A CPU's caches hold so much, and larger products are no faster (docs/log.md)."""
ALIGNED = 128
"""Columns are taken in multiples of so many: on a GPU, rows of another length are left to kernels several times slower."""

Head = Callable[[Tensor], Tensor]


def supervised_loss(
    hidden: Tensor, targets: Tensor, head: Head, vocabulary: int, chunk_bytes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Summed loss in nats, and the loss of each token.

    hidden: (N, D) states of the positions that predict a supervised token, any float dtype.  targets: (N,) int64.
    head: frozen map (n, D) -> (n, V); where it is a plain matrix, columns are taken at a time, else rows.
    Returns a scalar with gradient for `hidden`, and (N,) fp32 without gradient.
    chunk_bytes: of fp32 logits at a time, CHUNK_BYTES where it is not given, and on a CPU no more than CPU_CHUNK_BYTES.
    Zero supervised tokens give a zero that still carries (zero) gradient, never NaN.
    """
    return _HeadLoss.apply(hidden, targets, _compute(hidden, head, vocabulary, chunk_bytes))


@torch.no_grad()
def token_scores(
    hidden: Tensor, targets: Tensor, head: Head, vocabulary: int, chunk_bytes: int | None = None
) -> tuple[Tensor, Tensor]:
    """What an evaluation wants to know of each supervised token: its loss in nats, and whether no other token is likelier.

    Arguments as of `supervised_loss`.  Returns (N,) fp32 and (N,) bool, without gradient.
    """
    scores = _compute(hidden, head, vocabulary, chunk_bytes)(hidden, targets, wants_gradient=False)
    return scores.losses, scores.is_right


class _Scores(NamedTuple):
    """losses: (N,) fp32.  is_right: (N,) bool, of a pass without gradient.  gradient: (N, D) where it was wanted."""

    losses: Tensor
    is_right: Tensor | None
    gradient: Tensor | None


def _compute(hidden: Tensor, head: Head, vocabulary: int, chunk_bytes: int | None) -> Callable[..., _Scores]:
    """A plain matrix goes by columns, any other head by rows."""
    chunk = min(chunk_bytes or CHUNK_BYTES, CHUNK_BYTES if hidden.is_cuda else CPU_CHUNK_BYTES)
    if type(head) is torch.nn.Linear and head.bias is None:
        columns = max(1, chunk // (4 * max(hidden.shape)))
        columns -= columns % ALIGNED if columns > ALIGNED else 0
        return partial(_by_columns, head.weight, columns)
    return partial(_by_rows, head, max(1, chunk // (4 * vocabulary)))


class _HeadLoss(torch.autograd.Function):
    """Loss and d(loss)/d(hidden) in one pass; backward only scales what forward has already computed."""

    @staticmethod
    def forward(ctx, hidden: Tensor, targets: Tensor, compute: Callable[..., _Scores]) -> tuple[Tensor, Tensor]:
        scores = compute(hidden, targets, wants_gradient=ctx.needs_input_grad[0])
        ctx.save_for_backward(scores.gradient)
        ctx.mark_non_differentiable(scores.losses)
        return scores.losses.sum(), scores.losses

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None


def _by_columns(weight: Tensor, columns: int, hidden: Tensor, targets: Tensor, wants_gradient: bool) -> _Scores:
    """Losses (N,) and, where wanted, their gradient for `hidden` (N, D), of logits hidden · weightᵀ, `columns` of them at a time.

    The target's own logit stays out of the sums, so that a probability close to 1 loses no digits in its gradient.
    """
    rows = weight.index_select(0, targets).float()
    wanted = torch.linalg.vecdot(hidden.float(), rows).unsqueeze(1)
    highest, others = wanted, torch.zeros_like(wanted)
    ahead = torch.zeros_like(rows) if wants_gradient else None
    for start in range(0, len(weight) if len(hidden) else 0, columns):
        piece = weight[start : start + columns].to(hidden.dtype)
        logits = _without(targets - start, times_transposed(hidden, piece).float())
        before, highest = highest, torch.maximum(highest, logits.amax(1, keepdim=True))
        shrink = (before - highest).exp_()
        shares = logits.sub_(highest).exp_()
        others = torch.addcmul(shares.sum(1, keepdim=True), others, shrink)
        if ahead is not None:
            ahead.mul_(shrink).add_(times(shares.to(hidden.dtype), piece))
    total = others + (wanted - highest).exp_()
    losses = (total.log() + highest - wanted).squeeze(1)
    if ahead is None:
        return _Scores(losses, (highest == wanted).squeeze(1), None)
    return _Scores(losses, None, ahead.addcmul_(rows, others, value=-1).div_(total).to(hidden.dtype))


def _without(at: Tensor, logits: Tensor) -> Tensor:
    """`logits` with -inf in the column `at` of each row, where it has that column."""
    column = at.clamp(0, logits.shape[1] - 1).unsqueeze(1)
    found = (column.squeeze(1) == at).unsqueeze(1)
    return logits.scatter_(1, column, logits.gather(1, column).masked_fill_(found, float("-inf")))


def _by_rows(head: Head, rows: int, hidden: Tensor, targets: Tensor, wants_gradient: bool) -> _Scores:
    """The same for any head, a few rows at a time."""
    gradient = torch.empty_like(hidden) if wants_gradient else None
    is_right = None if wants_gradient else torch.empty(len(targets), dtype=torch.bool, device=hidden.device)
    losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    for start in range(0, len(targets), rows):
        piece = slice(start, start + rows)
        with torch.set_grad_enabled(wants_gradient):
            chunk = hidden[piece].detach().requires_grad_(wants_gradient)
            logits = head(chunk).float()
            found = cross_entropy(logits, targets[piece], reduction="none")
        losses[piece] = found.detach()
        if is_right is not None:
            is_right[piece] = logits.argmax(1) == targets[piece]
        if gradient is not None:
            (gradient[piece],) = torch.autograd.grad(found, chunk, torch.ones_like(found))
    return _Scores(losses, is_right, gradient)

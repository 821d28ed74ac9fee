"""The two halves of a decoder layer around its attention, as autograd functions that keep only what their backward needs.

Attention itself stays with PyTorch's kernel between them. Kept for a token of a layer: its input, queries, keys and values, the
attention's output, the state between the halves, and gate and up; norms, the MLP's product and dropout are computed again.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.fused.dropout import Dropout, at
from engine.fused.elementwise import RMSNorm, rotate_, swiglu, swiglu_backward
from engine.fused.projections import Cast, Projections


@dataclass(frozen=True)
class AttentionInput:
    """Norm and projections in front of the attention.  heads: of query, key and value.  q_norm, k_norm: Qwen3's, else None."""

    norm: RMSNorm
    projections: Projections
    heads: tuple[int, int, int]
    head_dim: int
    q_norm: RMSNorm | None = None
    k_norm: RMSNorm | None = None


@dataclass(frozen=True)
class AttentionOutput:
    """What follows the attention: output projection, residual, norm, SwiGLU MLP, residual."""

    output: Projections
    norm: RMSNorm
    gate_up: Projections
    down: Projections


ATTENTION_INPUT, OUTPUT, GATE_UP, DOWN = range(4)
"""Places of a layer where its adapters read, each with a draw of its own."""
Draws = tuple[Dropout | None, Dropout | None, Dropout | None]
"""Of OUTPUT, GATE_UP and DOWN."""
Casts = tuple[Cast | None, Cast | None, Cast | None]
"""The adapters of the same."""
NOT_CAST: Casts = (None, None, None)


Kept = list[Tensor | None]
"""What a half keeps for its backward."""


def attention_input(
    part: AttentionInput, x: Tensor, cos: Tensor, sin: Tensor, dropout: Dropout | None = None, cast: Cast | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, turned by position.  x: (T, D).  cos, sin: (T, 1, d / 2).  Returns three (T, heads, d).

    cast: the adapters of its projections where they were cast before, for passes without gradient.
    """
    drawn = at(dropout, ATTENTION_INPUT)
    if not torch.is_grad_enabled():
        return _input(part, x, cos, sin, drawn, cast)[0]
    return _AttentionInput.apply(part, drawn, cos, sin, x, *part.projections.parameters)


def attention_output(
    part: AttentionOutput, attended: Tensor, residual: Tensor, dropout: Dropout | None = None, casts: Casts = NOT_CAST
) -> Tensor:
    """The layer's output (T, D).  attended: (T, H · d).  residual: (T, D), the layer's input.

    casts: the adapters where they were cast before, for passes without gradient.
    """
    draws = (at(dropout, OUTPUT), at(dropout, GATE_UP), at(dropout, DOWN))
    if not torch.is_grad_enabled():
        return _output(part, attended, residual, draws, casts)[0]
    parameters = [*part.output.parameters, *part.gate_up.parameters, *part.down.parameters]
    return _AttentionOutput.apply(part, draws, attended, residual, *parameters)


def _input(
    part: AttentionInput, x: Tensor, cos: Tensor, sin: Tensor, dropout: Dropout | None, cast: Cast | None = None
) -> tuple[tuple[Tensor, Tensor, Tensor], Kept]:
    normal, inverse = part.norm.forward(x)
    y, inner = part.projections.forward(normal, dropout, cast)
    q, k, v = y.view(len(x), -1, part.head_dim).split(part.heads, dim=1)
    kept: Kept = [inverse, inner, None, None, None, None]
    if part.q_norm is not None and part.k_norm is not None:
        raw_q, raw_k = q, k
        q, q_inverse = part.q_norm.forward(raw_q)
        k, k_inverse = part.k_norm.forward(raw_k)
        kept[2:] = raw_q, q_inverse, raw_k, k_inverse
    return (rotate_(q, cos, sin), rotate_(k, cos, sin), v), kept


def _output(
    part: AttentionOutput, attended: Tensor, residual: Tensor, draws: Draws, casts: Casts = NOT_CAST
) -> tuple[Tensor, Kept]:
    middle, output_inner = part.output.forward(attended, draws[0], casts[0])
    middle += residual
    normal, inverse = part.norm.forward(middle)
    gate_up, gate_up_inner = part.gate_up.forward(normal, draws[1], casts[1])
    y, down_inner = part.down.forward(swiglu(gate_up), draws[2], casts[2])
    return y.add_(middle), [output_inner, middle, inverse, gate_up, gate_up_inner, down_inner]


class _AttentionInput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, part: AttentionInput, dropout: Dropout | None, cos: Tensor, sin: Tensor, x: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        outputs, kept = _input(part, x, cos, sin, dropout)
        ctx.part, ctx.dropout = part, dropout
        ctx.save_for_backward(x, cos, sin, *kept)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        part: AttentionInput = ctx.part
        x, cos, sin, inverse, inner, raw_q, q_inverse, raw_k, k_inverse = ctx.saved_tensors
        dy = x.new_empty(len(x), sum(part.heads), part.head_dim)
        dq, dk, dv = dy.split(part.heads, dim=1)
        for target, gradient in ((dq, gradients[0]), (dk, gradients[1])):
            rotate_(target.copy_(gradient), cos, sin, backwards=True)
        dv.copy_(gradients[2])
        if part.q_norm is not None and part.k_norm is not None:
            dq.copy_(part.q_norm.backward(raw_q, q_inverse, dq))
            dk.copy_(part.k_norm.backward(raw_k, k_inverse, dk))
        normal = part.norm.apply(x, inverse)
        wants_dx = ctx.needs_input_grad[4]
        d_normal, d_parameters = part.projections.backward(normal, inner, dy.view(len(x), -1), ctx.dropout, wants_dx)
        dx = part.norm.backward(x, inverse, d_normal) if d_normal is not None else None
        return None, None, None, None, dx, *d_parameters


class _AttentionOutput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: AttentionOutput, draws: Draws, attended: Tensor, residual: Tensor, *parameters: Tensor) -> Tensor:
        y, kept = _output(part, attended, residual, draws)
        ctx.part, ctx.draws = part, draws
        ctx.save_for_backward(attended, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        part: AttentionOutput = ctx.part
        at_output, at_gate_up, at_down = ctx.draws
        attended, output_inner, middle, inverse, gate_up, gate_up_inner, down_inner = ctx.saved_tensors
        (dy,) = gradients
        d_product, d_down = part.down.backward(swiglu(gate_up), down_inner, dy, at_down)
        normal = part.norm.apply(middle, inverse)
        d_stacked = swiglu_backward(gate_up, d_product)
        d_normal, d_gate_up = part.gate_up.backward(normal, gate_up_inner, d_stacked, at_gate_up)
        d_middle = part.norm.backward(middle, inverse, d_normal).add_(dy)
        d_attended, d_output = part.output.backward(attended, output_inner, d_middle, at_output)
        return None, None, d_attended, d_middle, *d_output, *d_gate_up, *d_down

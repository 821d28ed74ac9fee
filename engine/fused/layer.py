"""One decoder layer of the Llama kind around its attention, in training and while texts are generated."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from engine.attention import packed_attention
from engine.fused.dropout import Dropout
from engine.fused.functions import NOT_CAST, AttentionInput, AttentionOutput, attention_input, attention_output
from engine.fused.projections import BASE_ALONE, Cast, Projections

LayerCasts = tuple[Cast | None, Cast | None, Cast | None, Cast | None]
"""Of a layer's four groups of projections."""
NO_ADAPTERS: LayerCasts = (BASE_ALONE,) * 4

GROWS_BY = 256
"""Tokens for which a memory has room when it grows."""


class Memory:
    """What one layer remembers of one text.  tokens: how many it has seen."""

    def __init__(self):
        self.tokens = 0
        self._kept: Tensor | None = None

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append new tokens, (1, H_kv, T, d) each, and return those of all."""
        end = self.tokens + keys.shape[2]
        if self._kept is None or end > self._kept.shape[3]:
            grown = keys.new_empty(2, *keys.shape[:2], end + GROWS_BY, keys.shape[3])
            if self._kept is not None:
                grown[:, :, :, : self.tokens] = self._kept[:, :, :, : self.tokens]
            self._kept = grown
        self._kept[0, :, :, self.tokens : end], self._kept[1, :, :, self.tokens : end] = keys, values
        self.tokens = end
        return self._kept[0, :, :, :end], self._kept[1, :, :, :end]


@dataclass(frozen=True)
class Layer:
    """One decoder layer: its two halves and what its attention needs. window: tokens a query sees, itself included; None for all."""

    before: AttentionInput
    after: AttentionOutput
    attention: nn.Module
    window: int | None

    @property
    def parameters(self) -> list[Tensor]:
        """Its trainable tensors."""
        return [parameter for part in self._projections for parameter in part.parameters]

    @property
    def _projections(self) -> tuple[Projections, Projections, Projections, Projections]:
        return self.before.projections, self.after.output, self.after.gate_up, self.after.down

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, lengths: tuple[int, ...], rows: Tensor | None = None,
        dropout: Dropout | None = None, seen: Memory | None = None, casts: LayerCasts = (None, *NOT_CAST),
    ) -> Tensor:  # fmt: skip
        """(T, D) to (T, D), or to (N, D) where only `rows` go on past the attention; `seen` keeps what generation needs.

        casts: the adapters where they were cast before, for passes without gradient.
        """
        q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in attention_input(self.before, x, cos, sin, dropout, casts[0]))
        if seen is not None:
            seen.add(k, v)
        scaling = self.attention.scaling
        attended, _ = packed_attention(self.attention, q, k, v, None, scaling=scaling, lengths=lengths, sliding_window=self.window)
        attended = attended.reshape(len(x), -1)
        if rows is not None:
            attended, x = attended.index_select(0, rows), x.index_select(0, rows)
        return attention_output(self.after, attended, x, dropout, casts[1:])

    def extend(self, x: Tensor, cos: Tensor, sin: Tensor, memories: Sequence[Memory], casts: LayerCasts) -> Tensor:
        """(B, D) to (B, D): a token of each text, which looks at those before it in its memory, which then holds it as well."""
        q, k, v = attention_input(self.before, x, cos, sin, cast=casts[0])
        since = -(self.window or 0)
        attended = []
        for memory, query, key, value in zip(memories, *(part[:, None, :, None] for part in (q, k, v)), strict=True):
            keys, values = memory.add(key, value)
            seen = scaled_dot_product_attention(
                query, keys[:, :, since:], values[:, :, since:], scale=self.attention.scaling, enable_gqa=True
            )
            attended.append(seen.view(1, -1))
        return attention_output(self.after, torch.cat(attended), x, casts=casts[1:])

    def cast(self, dtype: torch.dtype) -> LayerCasts:
        """Its adapters as they are now, for products in `dtype`."""
        before, output, gate_up, down = (part.cast(dtype) if part.parameters else None for part in self._projections)
        return before, output, gate_up, down

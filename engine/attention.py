"""Attention per example inside a packed row, without a T×T mask.

Registered with transformers under `NAME`, so every model that takes its attention from transformers' interface uses it.
Calls without `lengths` (generation with a cache) go to transformers' own SDPA path. Not here: who packs (`data.packing`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

from engine.errors import ModelError

NAME = "danlu_packed"
UNKNOWN = ("softcap", "s_aux")
"""Arguments that change the result and that PyTorch's kernels have no place for: Gemma 2's capped scores, gpt-oss's sinks."""


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    lengths: tuple[int, ...] | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention in which each example sees only itself.

    query: (1, H, T, d).  key, value: (1, H_kv, T, d).  lengths: tokens of each example in order, summing to T; None for
    a plain causal call.  Returns (1, T, H, d) and no weights. Raises ModelError for what would silently be computed wrongly.
    """
    for name in UNKNOWN:
        if kwargs.get(name) is not None:
            raise ModelError(f"this model's attention uses {name}, which Danlu does not compute yet; choose a model without it")
    if lengths is None and attention_mask is None and key.shape[2] == query.shape[2] and _needs_window(query, sliding_window):
        lengths = (query.shape[2],)  # a prompt: transformers makes no mask for an attention that is not its own
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    grouped = query.shape[1] != key.shape[1]
    if grouped and not query.is_cuda:
        # The CPU kernel expands grouped keys slowly inside; repeating them once for the whole row is faster.
        key, value = (repeat_kv(t, query.shape[1] // key.shape[1]) for t in (key, value))
        grouped = False
    parts = [
        scaled_dot_product_attention(q, k, v, attn_mask=_window_mask(q, sliding_window), dropout_p=dropout, scale=scaling,
                                     is_causal=not _needs_window(q, sliding_window), enable_gqa=grouped)
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]  # fmt: skip
    # The kernels write (t, H, d) in memory, so this order is copied once at most.
    return torch.cat([part.transpose(1, 2) for part in parts], dim=1), None


def _needs_window(query: Tensor, sliding_window: int | None) -> bool:
    return sliding_window is not None and query.shape[2] > sliding_window


def _window_mask(query: Tensor, sliding_window: int | None) -> Tensor | None:
    """(t, t) mask of one example longer than the model's sliding window, else None."""
    if not _needs_window(query, sliding_window):
        return None
    position = torch.arange(query.shape[2], device=query.device)
    distance = position[:, None] - position[None, :]
    return (distance >= 0) & (distance < sliding_window)


AttentionInterface.register(NAME, packed_attention)

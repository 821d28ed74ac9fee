"""Attention per example inside a packed row, without a T×T mask.

Registered with transformers under `NAME`, so every model that takes its attention from transformers' interface uses it.
Calls without `lengths` (generation with a cache) go to transformers' own SDPA path. Not here: who packs (`data.packing`).
"""

from functools import lru_cache
from itertools import accumulate
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

FLASH_CAPABILITY, FLASH_WIDEST = (8, 0), 192
"""Compute capability from which on PyTorch's FlashAttention runs, and the widest heads that every such card can train."""

# cuDNN, which PyTorch prefers on Hopper cards, works out a plan for every new length: packed rows and samples bring one all the time.
torch.backends.cuda.enable_cudnn_sdp(False)


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
    if _takes_flash(query) and dropout == 0:
        return _flash(query, key, value, lengths, scaling, sliding_window), None
    if query.shape[1] != key.shape[1]:
        # The CPU's kernel expands grouped keys slowly inside, and a GPU's for fp32 and old cards has none: it would hold T×T scores.
        key, value = (repeat_kv(t, query.shape[1] // key.shape[1]) for t in (key, value))
    parts = [
        scaled_dot_product_attention(q, k, v, attn_mask=_window_mask(q, sliding_window), dropout_p=dropout, scale=scaling,
                                     is_causal=not _needs_window(q, sliding_window))
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]  # fmt: skip
    # The kernels write (t, H, d) in memory, so this order is copied once at most.
    return torch.cat([part.transpose(1, 2) for part in parts], dim=1), None


def _takes_flash(query: Tensor) -> bool:
    """Whether PyTorch's own FlashAttention kernels know this device, type and width of heads."""
    if not query.is_cuda or query.dtype not in (torch.bfloat16, torch.float16) or query.shape[3] % 8 or query.shape[3] > FLASH_WIDEST:
        return False
    return torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability(query.device) >= FLASH_CAPABILITY


def _flash(
    query: Tensor, key: Tensor, value: Tensor, lengths: tuple[int, ...], scaling: float | None, sliding_window: int | None
) -> Tensor:
    """All examples in one launch, forwards and back, by the operator below PyTorch's own attention: (1, T, H, d)."""
    starts, longest = _starts(lengths, query.device), max(lengths)
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    window = {} if sliding_window is None else {"window_size_left": sliding_window - 1, "window_size_right": 0}
    out, *_ = torch.ops.aten._flash_attention_forward(
        q, k, v, starts, starts, longest, longest, 0.0, True, False, scale=scaling, **window
    )
    return out.unsqueeze(0)


@lru_cache(maxsize=4)
def _starts(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """(examples + 1,) where each begins, and the end: the same for all layers, so copied to the GPU once."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32).to(device)


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

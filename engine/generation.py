"""Texts that are generated: a prompt begins each, and then all take a token in turn. Here through transformers' own layers.

Not here: the fused layers (`engine.fused.generation`), and which token is taken (`engine.sampling`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import DynamicCache


class Generation(Protocol):
    """What each text has seen is remembered in the object that `begin` gives."""

    def begin(self, ids: Tensor) -> tuple[Any, Tensor]:
        """A new text of the (1, T) prompt `ids`, and the (D,) last state of its last token."""
        ...

    def extend(self, texts: Sequence[Any], tokens: Tensor) -> Tensor:
        """(B, D) last states of the next of `tokens` (B,) in each of `texts`, which now hold it as well."""
        ...


class PlainGeneration:
    """Texts through a transformers decoder, one after the other."""

    def __init__(self, decoder: nn.Module, autocast: Callable[[], AbstractContextManager[Any]]):
        self._decoder, self._autocast = decoder, autocast

    def begin(self, ids: Tensor) -> tuple[DynamicCache, Tensor]:
        """See `Generation`."""
        text = DynamicCache(config=self._decoder.config)
        return text, self._last_state(text, ids)

    def extend(self, texts: Sequence[DynamicCache], tokens: Tensor) -> Tensor:
        """See `Generation`."""
        return torch.stack([self._last_state(text, token.view(1, 1)) for text, token in zip(texts, tokens, strict=True)])

    def _last_state(self, text: DynamicCache, ids: Tensor) -> Tensor:
        with self._autocast():
            return self._decoder(input_ids=ids, past_key_values=text, use_cache=True).last_hidden_state[0, -1]

"""Texts that are generated through the fused layers: what each has seen is remembered, and several take their next token together.

A product with a token of each reads the weights once, which is what a token costs; only the attention is each text's own.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.fused.layer import Layer, LayerCasts, Memory

Text = list[Memory]
"""A text that is being generated: a memory a layer."""


class FusedGeneration:
    """Texts through `layers` with their adapters as they are now, which are cast once for all of them."""

    def __init__(
        self, embed: Callable[[Tensor], Tensor], positions: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], layers: Sequence[Layer],
        last_norm: Callable[[Tensor], Tensor], casts: Sequence[LayerCasts],
    ):  # fmt: skip
        """embed: (T, D) of (1, T) ids.  positions: cosine and sine of (T, D) states at (1, T) positions.  casts: of each layer."""
        self._embed, self._positions, self._last_norm = embed, positions, last_norm
        self._layers = list(zip(layers, casts, strict=True))

    def begin(self, ids: Tensor) -> tuple[Text, Tensor]:
        """A new text of the (1, T) prompt `ids`, and the (D,) normalised last state of its last token."""
        x = self._embed(ids)
        cos, sin = self._positions(x, torch.arange(len(x), device=x.device)[None])
        text = [Memory() for _ in self._layers]
        for (layer, casts), memory in zip(self._layers, text, strict=True):
            x = layer.forward(x, cos, sin, (len(x),), seen=memory, casts=casts)
        return text, self._last_norm(x[-1:])[0]

    def extend(self, texts: Sequence[Text], tokens: Tensor) -> Tensor:
        """(B, D) normalised last states of the next of `tokens` (B,) in each of `texts`, which now hold it as well."""
        x = self._embed(tokens[None])
        seen = torch.tensor([[text[0].tokens for text in texts]], device=x.device)
        cos, sin = self._positions(x, seen)
        for number, (layer, casts) in enumerate(self._layers):
            x = layer.extend(x, cos, sin, [text[number] for text in texts], casts)
        return self._last_norm(x)

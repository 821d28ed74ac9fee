"""Dropout in front of adapters, drawn again in backward from a seed instead of kept.

One draw serves all adapters that share an input (queries, keys and values; gate and up), where peft draws for each of them:
every input of an adapter is dropped as often, and the mean over draws is the same.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dropout:
    """probability: with which an adapter does not see an input.  seed: equal seeds drop the same."""

    probability: float
    seed: int

    def factors(self, x: Tensor) -> Tensor:
        """Like x: 0 where an input is dropped, elsewhere what keeps the mean. The probability is rounded to 1 / 65,536.

        Sixteen bits of each drawn number serve one input each: on a CPU a third of the time of `bernoulli_`.
        """
        generator = torch.Generator(x.device).manual_seed(self.seed)
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None, generator=generator)
        dropped = min(round(self.probability * 2**16), 2**16 - 1)
        kept = drawn.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
        return kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


def at(dropout: Dropout | None, place: int) -> Dropout | None:
    """The draw of a layer for one of its inputs, independent of its others."""
    return dropout and replace(dropout, seed=dropout.seed + place)


def draws(probability: float, layers: int) -> list[Dropout | None]:
    """A draw for each layer from PyTorch's random state, which steps are seeded with; nothing is drawn, and none, at probability 0."""
    if probability == 0:
        return [None] * layers
    return [Dropout(probability, seed) for seed in torch.randint(2**62, (layers,)).tolist()]

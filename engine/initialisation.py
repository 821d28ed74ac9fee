"""Adapters that begin as a part of the base weights (PiSSA, OLoRA), and the same adapters as plain ones for the untouched base.

The base gives away what A and B begin with, so the model still computes what it did: W = (W - s·B₀A₀) + s·B₀A₀. What is saved is the
change s·(BA - B₀A₀) as one adapter of twice the rank, which plain peft loads onto the original model, and from whose second half a
resumed run takes A₀ and B₀: the decomposition is made once in a run's life.
"""

import copy
import math
from collections.abc import Iterator

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor

from engine.errors import ModelError

ADAPTER = "default"
METHODS = {"pissa": "pissa_niter_16", "olora": "olora"}
"""As peft calls them. Sixteen rounds of subspace iteration instead of a whole decomposition, which takes minutes on a large model; what
they leave of the largest part stays in the base, so nothing is lost."""

Start = dict[str, Tensor]
"""A₀ and B₀ of each adapted layer, in fp32, by the names a saved adapter has."""


@torch.no_grad()
def find_start(model: PeftModel, init: str) -> Start:
    """What peft makes of each layer's weights; those are left as they were. init: pissa or olora.

    Raises ModelError for a rank above the smaller side of a layer's weights.
    """
    start = {}
    for name, layer in _adapted(model):
        weight = layer.get_base_layer().weight
        if (r := layer.r[ADAPTER]) > min(weight.shape):
            raise ModelError(f"lora.r = {r}: {name} has only {min(weight.shape)} directions; lower it, or set lora.init = 'default'")
        before = weight.data.clone()
        if init == "pissa":
            layer.pissa_init(ADAPTER, METHODS[init])
        else:
            layer.olora_init(ADAPTER)
        weight.data = before
        start |= {f"{name}.lora_{part}.weight": matrix.detach().clone() for part, matrix in _matrices(layer)}
    return start


@torch.no_grad()
def begin_at(model: PeftModel, start: Start) -> None:
    """A and B become `start`, and the base gives it away."""
    for name, layer in _adapted(model):
        for part, matrix in _matrices(layer):
            matrix.data.copy_(start[f"{name}.lora_{part}.weight"])
        weight = layer.get_base_layer().weight
        a, b = (start[f"{name}.lora_{part}.weight"] for part in "AB")
        weight.data.copy_(weight.data.float() - layer.scaling[ADAPTER] * (b @ a))


def as_plain(adapter: Start, start: Start) -> Start:
    """The trained A and B beside A₀ and -B₀: an adapter for the original base. Magnitudes and the like stay."""
    plain = dict(adapter)
    for name, first in start.items():
        now = adapter[name]
        plain[name] = torch.cat([now, first.to(now)]) if "lora_A" in name else torch.cat([now, -first.to(now)], dim=1)
    return plain


def from_plain(plain: Start) -> tuple[Start, Start]:
    """The reverse of `as_plain`: the trained adapter, and what it began with."""
    adapter, start = dict(plain), {}
    for name, both in plain.items():
        if "lora_A" in name:
            adapter[name], start[name] = both.chunk(2)
        elif "lora_B" in name:
            now, minus = both.chunk(2, dim=1)
            adapter[name], start[name] = now.contiguous(), -minus
    return adapter, start


def plain_config(config: LoraConfig) -> LoraConfig:
    """The settings of `as_plain`'s adapter: twice the rank at the same scale."""
    plain = copy.deepcopy(config)
    plain.r, plain.lora_alpha = 2 * config.r, config.lora_alpha * (math.sqrt(2) if config.use_rslora else 2)
    return plain


def _adapted(model: PeftModel) -> Iterator[tuple[str, LoraLinear]]:
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def _matrices(layer: LoraLinear) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    return ("A", layer.lora_A[ADAPTER].weight), ("B", layer.lora_B[ADAPTER].weight)

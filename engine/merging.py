"""A trained adapter added to the weights of its base in fp32, a tensor at a time. No model is built.

The arithmetic is that of peft's `merge_and_unload`, whose own rounding in bf16 it leaves out. Not here: files of the base and of the
result (`engine.export`, `engine.base_weights`).
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import ModelError

PREFIX = "base_model.model."
"""Of every name that peft saves."""


@dataclass(frozen=True)
class Layer:
    """The adapter of one linear layer.  a: (R, in).  b: (out, R).  magnitude: (out,) of DoRA, else None."""

    a: Tensor
    b: Tensor
    magnitude: Tensor | None


@dataclass(frozen=True)
class Adapter:
    """layers: by the name their weight has in the base's files."""

    layers: dict[str, Layer]
    scaling: float

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """(out, in) fp32: `weight` of that name with its adapter in it. Raises ModelError where they are not of one shape or type."""
        layer = self.layers[name]
        shape = (layer.b.shape[0], layer.a.shape[1])
        if tuple(weight.shape) != shape or not weight.is_floating_point() or weight.element_size() < 2:
            raise ModelError(
                f"{name}: the base has {tuple(weight.shape)} in {weight.dtype}, the adapter is for {shape} in 16 or 32 bits; "
                "the base is not the one that the run was trained on"
            )
        whole = torch.addmm(weight.float(), layer.b, layer.a, alpha=self.scaling)
        return whole if layer.magnitude is None else whole * (layer.magnitude / whole.norm(dim=1))[:, None]


@dataclass
class Rounding:
    """How far the stored type is off, beside what each merged tensor learnt: ||stored - exact|| / ||exact - base||.

    Mostly noise without a direction: on the demo a share of 21 % cost 0.1 % of what the loss had gained (docs/log.md).
    """

    shares: list[float] = field(default_factory=list)

    def add(self, base: Tensor, exact: Tensor, stored: Tensor) -> None:
        """base, stored: any float dtype.  exact: fp32.  An update of nothing loses nothing."""
        update = (exact - base.float()).norm().item()
        self.shares.append((stored.float() - exact).norm().item() / update if update else 0.0)

    @property
    def facts(self) -> dict[str, float]:
        """Over the merged tensors, each counted alike."""
        return {"mean": sum(self.shares) / len(self.shares), "max": max(self.shares)}


def read_adapter(folder: Path) -> Adapter:
    """The adapter of a verified folder, as peft saves it, in fp32. Raises ModelError for one that is not made of A, B and magnitudes."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    scaling = config["lora_alpha"] / (math.sqrt(config["r"]) if config["use_rslora"] else config["r"])
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / "adapter_model.safetensors").items():
        module, dot, part = name.removeprefix(PREFIX).rpartition(".lora_")
        if not dot:
            raise ModelError(f"{folder}: {name} is no part of a LoRA adapter, so it cannot be merged; export it with --adapter")
        parts.setdefault(f"{module}.weight", {})[part.removesuffix(".weight")] = tensor.float()
    try:
        layers = {name: Layer(found.pop("A"), found.pop("B"), found.pop("magnitude_vector", None)) for name, found in parts.items()}
    except KeyError as error:
        raise ModelError(f"{folder}: a layer has no lora_{error.args[0]}, so it cannot be merged") from error
    if left := [f"{name} lora_{part}" for name, found in parts.items() for part in found]:
        raise ModelError(f"{folder}: {left[0]} is no part that Danlu merges; export it with --adapter")
    return Adapter(layers, scaling)


def stored_as(name: str, values: Tensor, dtype: torch.dtype) -> Tensor:
    """`values` in the type they are stored in. Raises ModelError where it cannot hold them, or they are no numbers."""
    stored = values.to(dtype).contiguous()
    if not stored.isfinite().all():
        what = "the adapter holds numbers that are none" if not values.isfinite().all() else f"its values are too large for {dtype}"
        raise ModelError(f"{name}: {what}; export another checkpoint, or with --dtype bf16 or fp32")
    return stored

"""The weight files of a merged model, written one after another; a file's tensors are in memory at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.base_weights import Shard, file_names, stored_type, write_index
from engine.errors import ModelError
from engine.merging import Rounding, read_adapter, stored_as
from engine.precision import DTYPES


def dtype_of(name: str) -> torch.dtype | None:
    """The type of that name; None of "auto", which is each tensor's own."""
    return DTYPES.get(name)


class MergedWeights:
    """The adapter in a verified folder, merged into the tensors of `shards`. What is told of it is known once it has been written."""

    def __init__(self, adapter: Path, shards: list[Shard], dtype: torch.dtype | None):
        """Raises ModelError for an adapter that is not for this base."""
        self._adapter, self._shards, self._dtype = read_adapter(adapter), shards, dtype
        self._rounding = Rounding()
        self._types: set[torch.dtype] = set()
        self._total = sum(len(shard.names) for shard in shards)
        there = {name for shard in shards for name in shard.names}
        if strange := sorted(self._adapter.layers.keys() - there):
            raise ModelError(f"{adapter}: adapts {strange[0]}, which the base has not; the base is not the one that the run was trained on")

    def write(self, folder: Path, progress: Callable[[int, int], None]) -> None:
        """All files and their index. progress: tensors done, of all. Raises ModelError, OSError."""
        done = 0
        for file, shard in zip(file_names(self._shards), self._shards, strict=True):
            tensors = {}
            with safe_open(shard.source, "pt") as weights:
                for name in shard.names:
                    tensors[name] = self._tensor(name, weights.get_tensor(name))
                    done += 1
                    progress(done, self._total)
                save_file(tensors, folder / file, {"format": "pt"})
        write_index(folder, self._shards)

    @property
    def facts(self) -> dict[str, Any]:
        """How many tensors, of them merged, in which type, and how far the cast to it is off."""
        types = sorted(name for name, dtype in DTYPES.items() if dtype in self._types)
        return {
            "tensors": self._total, "merged": len(self._adapter.layers), "dtype": "+".join(types), "shift": self._rounding.facts,
        }  # fmt: skip

    @property
    def sentence(self) -> str:
        """The same for a model card."""
        mean, largest = (100 * self._rounding.facts[name] for name in ("mean", "max"))
        return (
            f"{len(self._adapter.layers)} of {self._total} tensors, in fp32, stored as {self.facts['dtype']}; rounding moves a "
            f"tensor by {mean:.1f} % of its update on average, {largest:.1f} % at most"
        )

    def _tensor(self, name: str, base: Tensor) -> Tensor:
        """A tensor of the base as it goes into the copy."""
        dtype = stored_type(base, self._dtype)
        if name not in self._adapter.layers:
            return base if dtype == base.dtype else stored_as(name, base, dtype)
        exact = self._adapter.merged(name, base)
        stored = stored_as(name, exact, dtype)
        self._rounding.add(base, exact, stored)
        self._types.add(dtype)
        return stored

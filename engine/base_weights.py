"""The weights of a model folder: which files transformers would load, and how their tensors are shared out over the files of a copy."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from engine.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LARGEST_SHARD = 5 * 10**9
"""Bytes of one file, as the field shares models out; it is also about what an export holds in memory."""


@dataclass(frozen=True)
class Shard:
    """Tensors of one file of the base that go into one file of the copy.  num_bytes: of them in the copy."""

    source: Path
    names: list[str]
    num_bytes: int


def plan_shards(folder: Path, dtype: torch.dtype | None, largest: int = LARGEST_SHARD) -> list[Shard]:
    """The base's own files, one that would be above `largest` bytes in several pieces.

    dtype: of float tensors in the copy, None as they are stored.  Raises ModelError for weights that are missing or cannot be read.
    """
    try:
        return [shard for file, names in _files(folder).items() for shard in _pieces(file, names, dtype, largest)]
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"{folder}: its weights cannot be read ({error}); fetch the model again") from error


def file_names(shards: list[Shard]) -> list[str]:
    """What the files of the copy are called."""
    count = len(shards)
    return [WEIGHTS] if count == 1 else [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def write_index(folder: Path, shards: list[Shard]) -> None:
    """Which tensor lies in which file, where there are several."""
    if len(shards) > 1:
        names = zip(file_names(shards), shards, strict=True)
        index = {
            "metadata": {"total_size": sum(shard.num_bytes for shard in shards)},
            "weight_map": {name: file for file, shard in names for name in shard.names},
        }
        (folder / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def stored_type(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """What a tensor of the base becomes in the copy: only float ones are ever cast."""
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype


def _files(folder: Path) -> dict[Path, list[str]]:
    """The files that transformers loads, a whole one first, with the names of their tensors."""
    if (whole := folder / WEIGHTS).is_file():
        with safe_open(whole, "pt") as weights:
            return {whole: list(weights.keys())}
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder}: has neither {WEIGHTS} nor {INDEX}; fetch the model again")
    found: dict[Path, list[str]] = {}
    for name, file in sorted(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].items(), key=lambda item: item[1]):
        found.setdefault(folder / file, []).append(name)
    return found


def _pieces(file: Path, names: list[str], dtype: torch.dtype | None, largest: int) -> Iterator[Shard]:
    piece, size = [], 0
    for name, num_bytes in _sizes(file, names, dtype):
        if piece and size + num_bytes > largest:
            yield Shard(file, piece, size)
            piece, size = [], 0
        piece.append(name)
        size += num_bytes
    yield Shard(file, piece, size)


def _sizes(file: Path, names: list[str], dtype: torch.dtype | None) -> Iterator[tuple[str, int]]:
    """Names and bytes in the copy. The file is mapped, so nothing of it is read."""
    with safe_open(file, "pt") as weights:
        for name in names:
            tensor = weights.get_tensor(name)
            yield name, tensor.numel() * stored_type(tensor, dtype).itemsize

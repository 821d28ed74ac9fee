"""Whether a run may go on from a checkpoint, and whether it is then the same run bit for bit or only an equivalent one.

A fingerprint names everything a step depends on beside the checkpoint's own tensors, as short texts that a person can compare.
Order of examples and random numbers are functions of seed and step, so they need no place in it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import torch

from engine.config import Config
from engine.errors import RunError
from engine.host import read_cpu, read_versions

MUST_MATCH = ("data", "model", "adapter", "seed", "rows")
"""Without these a checkpoint makes no sense: other examples, other weights, another order, another place in it."""
SPLIT = ("batch_size", "gradient_checkpointing", "machine", "ranks")
"""What decides with the memory at hand how a step is split."""
LATER = {"init": "default", "plus_ratio": 1.0}
"""Keys that came after the first checkpoints: left out at their defaults, so that those still match."""
NAMES: dict[str, tuple[str, ...]] = {
    "model": ("model.name", "model.revision", "model.quantization"),
    "seed": ("train.seed",),
    "rows": ("data.packing", "data.max_seq_length"),
    "rows_per_step": ("rows in a step",),
    "batch_size": ("train.batch_size",),
    "learning_rate": ("train.learning_rate", "train.scheduler", "train.warmup_ratio", "train.decay_ratio"),
    "length": ("train.num_epochs", "train.max_steps"),
    "optimizer": ("train.optimizer", "train.weight_decay", "train.max_grad_norm", "train.neftune_alpha"),
    "gradient_checkpointing": ("train.gradient_checkpointing",),
    "machine": ("processor", "threads"),
    "ranks": ("parallel.strategy", "processes"),
}
"""Mark → what its values are called where a person sets or sees them; what is not here is called as the mark is."""
SHOWN = 60
"""Characters of a changed value that a message shows."""


def fingerprint(
    config: Config, data: str, precision: str, device: torch.device, strategy: str = "single", world_size: int = 1
) -> dict[str, str]:
    """What a bit-equal resume depends on. data: digest of all examples, tokenizer and template.  world_size: ranks."""
    train, name = config.train, torch.cuda.get_device_name(device) if device.type == "cuda" else read_cpu().name
    parts: dict[str, Any] = {
        "data": data[:16],
        "model": [config.model.name, config.model.revision, config.model.quantization],
        "adapter": {name: value for name, value in msgspec.to_builtins(config.lora).items() if name not in LATER or value != LATER[name]},
        "seed": train.seed,
        "rows": [config.data.packing, config.data.max_seq_length],
        "rows_per_step": train.batch_size * train.gradient_accumulation_steps,
        "batch_size": train.batch_size,
        "learning_rate": [train.learning_rate, train.scheduler, train.warmup_ratio, *_if(train.scheduler == "wsd", train.decay_ratio)],
        "length": [train.num_epochs, train.max_steps],
        "optimizer": [train.optimizer, train.weight_decay, train.max_grad_norm, *_if(train.neftune_alpha > 0, train.neftune_alpha)],
        "gradient_checkpointing": train.gradient_checkpointing,
        "precision": precision,
        "machine": [name, torch.get_num_threads()],
        "ranks": [strategy, world_size],
        "versions": [f"{package} {read_versions()[package]}" for package in ("danlu", "torch", "transformers", "peft")],
    }
    return {name: _short(value) for name, value in parts.items()}


def compare(checkpoint: Path, then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What has changed since `checkpoint` was saved, "train.learning_rate 0.0002 → 0.0001"; [] means bit for bit the same run.

    Raises RunError for a change that cannot be gone on with.
    """
    then = _in_todays_names(then)
    changed = [name for name in now if then.get(name) != now[name]]
    told = {name: _differences(name, then.get(name), now[name]) for name in changed}
    if hard := [difference for name in changed if name in MUST_MATCH for difference in told[name]]:
        raise RunError(f"{checkpoint}: cannot resume, because this has changed since: {'; '.join(hard)}; restore it, or start a new run")
    return [difference for differences in told.values() for difference in differences]


def splits_alike(then: dict[str, str], now: dict[str, str]) -> bool:
    """Whether a checkpoint's split of its steps is to be kept: nobody has asked for another, and memory is what it was."""
    return all(then.get(name) == now[name] for name in SPLIT)


def rows_per_step(then: dict[str, str]) -> int:
    """Rows of a step as a checkpoint's fingerprint tells them."""
    return int(_in_todays_names(then)["rows_per_step"])


def _differences(name: str, then: str | None, now: str) -> list[str]:
    """Each value of a mark that is another than it was, by its name."""
    before, after = {} if then is None else _values(name, then), _values(name, now)
    pairs = {key: (_cut(before.get(key, "unknown" if then is None else "unset")), _cut(after.get(key, "unset"))) for key in before | after}
    return [f"{key} {was} → {is_now}" for key, (was, is_now) in pairs.items() if was != is_now]


def _values(name: str, mark: str) -> dict[str, str]:
    """The values in a mark by the names a person knows; a value without one of its own shares the mark's."""
    try:
        value = json.loads(mark)
    except ValueError:  # a plain text
        value = mark
    if isinstance(value, dict):
        return {f"lora.{key}": _plain(one) for key, one in value.items()}
    if name not in NAMES:
        return {name: ", ".join(map(_plain, value)) if isinstance(value, list) else mark}
    return dict(zip(NAMES[name], map(_plain, value if isinstance(value, list) else [value]), strict=False))


def _plain(value: Any) -> str:
    return "unset" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _in_todays_names(then: dict[str, str]) -> dict[str, str]:
    """A fingerprint in which rows a step and what a row is were one entry, as now."""
    if "rows" in then:
        return then
    per_step, *rows = json.loads(then["rows_per_step"])
    return then | {"rows_per_step": _short(per_step), "rows": _short(rows)}


def _if(counts: bool, value: float) -> list[float]:
    """A value that came after the first checkpoints, left out where it changes nothing, so that those still match."""
    return [value] if counts else []


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({hashlib.sha256(text.encode()).hexdigest()[:8]})"

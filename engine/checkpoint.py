"""What is in a checkpoint: safetensors and JSON, no pickle anywhere. How it gets onto the disk is `engine.manifest`.

A checkpoint holds the adapter in peft's own format, the optimiser's moments, and a small state. The order of examples and
the random numbers of a step are functions of seed and step, so neither is saved. Not here: when to save (`engine.trainer`).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.bad_numbers import LossAverages
from engine.batches import BEGINNING, Origin
from engine.errors import RunError
from engine.initialisation import Start, as_plain, from_plain, plain_config
from engine.manifest import rotate, write_verified
from engine.run_directory import RunDirectory

NUMBERS = (torch.int64, torch.float64)
"""Types in which plain numbers of an optimiser's state are saved, without loss; its own 0-dimensional tensors are of others."""


class TrainingState(msgspec.Struct, frozen=True):
    """Everything beside tensors that the next step depends on.

    fingerprint: what must not change for an exact resume (data, tokenizer, template, seed, batch …), by name.
    precision, device: what was computed with; a CPU's measurement may come out otherwise another time.
    best_eval_loss, best_step: of the saved step with the lowest evaluation loss.  averages, bad_steps: of `engine.bad_numbers`.
    origin: where the batch changed last, of `engine.batches`.
    batch_size, recomputes_activations, offloads_inputs, chunk_bytes: where the run stood in its memory; 0 in what older versions saved.
    """

    step: int
    tokens_seen: int
    supervised_tokens: int
    scaler: dict[str, Any]
    fingerprint: dict[str, str]
    precision: str
    device: str
    best_eval_loss: float | None = None
    best_step: int | None = None
    batch_size: int = 0
    recomputes_activations: bool = False
    offloads_inputs: bool = False
    chunk_bytes: int | None = None
    averages: LossAverages = LossAverages()
    bad_steps: int = 0
    origin: Origin = BEGINNING


def save_checkpoint(
    run: RunDirectory, model: PeftModel, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int, start: Start | None = None
) -> tuple[Path, int]:
    """Save after `state.step` and return (folder, bytes); older verified ones beyond `keep` go only afterwards, the best one never.

    start: what the adapter began with where that was taken out of the base.
    Raises DiskFull or EnvironmentFault when the disk has no room or refuses; nothing already saved is touched then.
    """
    target = run.checkpoint(state.step)
    tensors = optimizer_tensors(model, optimizer)

    def write(folder: Path) -> None:
        save_adapter(model, folder, start)
        save_file(tensors, folder / "optimizer.safetensors")
        (folder / "state.json").write_bytes(msgspec.json.format(msgspec.json.encode(state)))

    facts = {"step": state.step, "fingerprint": state.fingerprint}
    size = write_verified(target, write, adapter_bytes(model, start) + sum(t.nbytes for t in tensors.values()), facts)
    rotate(run, keep, state.best_step)
    return target, size


def adapter_bytes(model: PeftModel, start: Start | None = None) -> int:
    """Bytes of the adapter as it is saved; Adam's moments take about twice as much as its trainable weights."""
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad) * (2 if start else 1)


def save_adapter(model: PeftModel, folder: Path, start: Start | None = None) -> None:
    """adapter_model.safetensors and adapter_config.json, as `peft.PeftModel.from_pretrained` reads them for the original base model."""
    weights, config = get_peft_model_state_dict(model, save_embedding_layers=False), model.peft_config["default"]
    if start is not None:
        weights, config = as_plain(weights, start), plain_config(config)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        folder / "adapter_model.safetensors",
        {"format": "pt"},
    )
    inference = config.inference_mode
    config.inference_mode = True
    try:
        config.save_pretrained(str(folder))
    finally:
        config.inference_mode = inference


def read_start(folder: Path, device: torch.device) -> Start:
    """What the adapter of a verified checkpoint began with, where that was taken out of the base. Raises RunError."""
    with _foreign_content(folder):
        return from_plain(load_file(folder / "adapter_model.safetensors", device=str(device)))[1]


def restore(folder: Path, model: PeftModel, optimizer: torch.optim.Optimizer, device: torch.device, has_start: bool = False) -> None:
    """Load the tensors of a checkpoint that has been verified (`engine.manifest.newest_verified`).

    has_start: the adapter began as a part of the base, so it is saved with what it began with.
    Raises RunError for what is verified and yet no checkpoint of this model: somebody else wrote it.
    """
    with _foreign_content(folder):
        adapter = load_file(folder / "adapter_model.safetensors", device=str(device))
        moments = load_file(folder / "optimizer.safetensors", device=str(device))
        set_peft_model_state_dict(model, from_plain(adapter)[0] if has_start else adapter)
        load_optimizer_tensors(model, optimizer, moments)


def read_state(folder: Path) -> TrainingState:
    """The state of a verified checkpoint. Raises RunError for one that somebody else wrote."""
    with _foreign_content(folder):
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=TrainingState)


@contextlib.contextmanager
def _foreign_content(folder: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, msgspec.MsgspecError, OSError, KeyError) as error:
        raise RunError(
            f"{folder}: its files are whole, but not what this version saves ({error}); delete the folder to go on from an older checkpoint"
        ) from error


def optimizer_tensors(model: PeftModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """A copy of the optimiser's state as flat tensors named '<parameter>|<key>', apart even where parameters share one (8-bit codes)."""
    return {
        f"{name}|{key}": (value.detach() if isinstance(value, Tensor) else _number(value)).to("cpu", copy=True).contiguous()
        for name, parameter in model.named_parameters() if parameter in optimizer.state
        for key, value in optimizer.state[parameter].items()
    }  # fmt: skip


def load_optimizer_tensors(model: PeftModel, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The reverse of `optimizer_tensors`; step counters stay where the optimiser wants them, and numbers are numbers again."""
    parameters = dict(model.named_parameters())
    for flat, value in tensors.items():
        name, _, key = flat.rpartition("|")
        if value.ndim == 0 and value.dtype in NUMBERS:
            optimizer.state[parameters[name]][key] = value.item()
            continue
        on_host = key == "step" and not optimizer.defaults.get("fused") and not optimizer.defaults.get("capturable")
        optimizer.state[parameters[name]][key] = value.cpu() if on_host else value


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)

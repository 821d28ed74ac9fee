"""Which adapter of a run is meant where none is named: the final model, else the newest checkpoint. Verified, and nothing is loaded."""

import json
from pathlib import Path

from engine.errors import RunError
from engine.manifest import MANIFEST, checkpoint_fault, find_fault, newest_verified
from engine.run_directory import RunDirectory


def choose_adapter(run: RunDirectory, checkpoint: int | None = None) -> Path:
    """Its folder. checkpoint: the step of the one that is meant instead. Raises RunError with what there is to choose."""
    if checkpoint is not None:
        return _checkpoint(run, checkpoint)
    if run.final_model.is_dir():
        if fault := find_fault(run.final_model):
            there = _steps(run)
            raise RunError(
                f"{run.final_model}: does not verify ({fault}); name a checkpoint with --checkpoint STEP: {there}",
                "final_damaged", path=run.final_model, fault=fault, there=there,
            )  # fmt: skip
        return run.final_model
    newest, _ = newest_verified(run)
    if newest is None:
        raise RunError(
            f"{run.name}: has no checkpoint yet; `danlu attach {run.name}` saves one with the key k, `danlu resume` goes on",
            "no_checkpoint", name=run.name,
        )  # fmt: skip
    return newest


def step_of(adapter: Path) -> int:
    """The step that an adapter was saved at; 0 where its folder does not say."""
    try:
        facts = json.loads((adapter / MANIFEST).read_text(encoding="utf-8"))
        return int(facts.get("step", facts.get("steps", 0)))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def _checkpoint(run: RunDirectory, step: int) -> Path:
    folder, there = run.checkpoint(step), _steps(run)
    if not folder.is_dir():
        raise RunError(
            f"{run.path}: has no checkpoint of step {step}; those it has: {there}", "no_such_step", path=run.path, step=step, there=there
        )
    if fault := checkpoint_fault(folder):
        raise RunError(
            f"{folder}: does not verify ({fault}); choose another checkpoint: {there}",
            "checkpoint_damaged", path=folder, fault=fault, there=there,
        )  # fmt: skip
    return folder


def _steps(run: RunDirectory) -> str:
    """The steps that can be named, the newest first."""
    return ", ".join(one.name.removeprefix("checkpoint-") for one in run.checkpoints()) or "-"

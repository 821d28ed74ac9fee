"""Tiny runs for faults: a model and records made once a call, an undisturbed run to compare with, engines as processes."""

from pathlib import Path

import msgspec

from engine.checkpoint import read_state, save_checkpoint
from engine.run_directory import RunDirectory
from tests.engine_runs import make_run, train_here, write_records
from tests.faults.bench import Bench

SETTINGS = {
    "data": {"max_seq_length": 512},
    "lora": {"dropout": 0.1},
    "train": {"max_steps": 40},
    "checkpoint": {"every_steps": 2},
    "eval": {"every_steps": 0, "at_start": False},
    "sample": {"num_prompts": 0},
}
"""Dropout on, so that a wrong random state shows in the losses; a save every other step, so that many kills land in one."""


def tiny_model(bench: Bench) -> Path:
    """The folder of a tiny Qwen3 over bytes, made at the first call."""
    from tests.faults.byte_model import write_byte_model

    folder = bench.shared / "model"
    return folder if folder.is_dir() else write_byte_model(folder)


def records(bench: Bench) -> Path:
    """24 records."""
    path = bench.shared / "records.jsonl"
    return path if path.is_file() else write_records(path)


def new_run(bench: Bench, name: str, where: Path | None = None, **changes: dict) -> RunDirectory:
    """A run directory of its own with SETTINGS and `changes` over them. where: another folder for it."""
    settings = {section: SETTINGS.get(section, {}) | changes.get(section, {}) for section in SETTINGS.keys() | changes.keys()}
    return make_run(where or bench.folder, tiny_model(bench), records(bench), name, **settings)


class RealSaves:
    """A trained adapter with its optimiser, to be saved at any step number into any run."""

    def __init__(self, bench: Bench):
        from engine.config_file import read_resolved
        from engine.control import Control
        from engine.reporter import Reporter
        from engine.trainer import Trainer

        run = new_run(bench, "saves")
        trainer = Trainer(run, read_resolved(run.config), Control(run), Reporter(run))
        trainer.prepare(None)
        trainer.take_step(1)
        trainer.save()
        self._trainer, self._state = trainer, read_state(run.checkpoint(1))

    def save(self, run: RunDirectory, step: int, keep: int = 2) -> None:
        """As the engine saves, rotation included. Raises EnvironmentFault."""
        parts = self._trainer.parts
        save_checkpoint(run, parts.model.peft, parts.updater.optimizer, msgspec.structs.replace(self._state, step=step), keep)


def undisturbed(bench: Bench, name: str = "undisturbed", **changes: dict) -> RunDirectory:
    """A whole run that nothing happened to, made at the first call: its losses are what every other run must show."""
    run = RunDirectory(bench.shared / name)
    if not run.path.is_dir():
        run = new_run(bench, name, bench.shared, **changes)
        assert train_here(run) == "finished"
    return run

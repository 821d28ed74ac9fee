"""Tiny runs for faults: a model and records made once a call, an undisturbed run to compare with, engines as processes."""

from pathlib import Path

from engine.run_directory import RunDirectory
from tests.engine_runs import make_run, train_here, write_records
from tests.faults.bench import Bench

SETTINGS = {
    "lora": {"dropout": 0.1},
    "train": {"max_steps": 40},
    "checkpoint": {"every_steps": 2},
    "eval": {"every_steps": 0, "at_start": False},
    "sample": {"num_prompts": 0},
}
"""Dropout on, so that a wrong random state shows in the losses; a save every other step, so that many kills land in one."""


def tiny_model(bench: Bench) -> Path:
    """The folder of a tiny Qwen3, made at the first call."""
    from tests import tiny_models

    folder = bench.shared / "qwen3"
    return folder if folder.is_dir() else tiny_models.tiny_model("qwen3", _made(folder))


def records(bench: Bench) -> Path:
    """24 records."""
    path = bench.shared / "records.jsonl"
    return path if path.is_file() else write_records(path)


def new_run(bench: Bench, name: str, **changes: dict) -> RunDirectory:
    """A run directory of its own with SETTINGS and `changes` over them."""
    settings = {section: SETTINGS.get(section, {}) | changes.get(section, {}) for section in SETTINGS.keys() | changes.keys()}
    return make_run(bench.folder, tiny_model(bench), records(bench), name, **settings)


def undisturbed(bench: Bench) -> RunDirectory:
    """A whole run that nothing happened to, made at the first call: its losses are what every other run must show."""
    run = RunDirectory(bench.shared / "undisturbed")
    if not run.path.is_dir():
        run = make_run(bench.shared, tiny_model(bench), records(bench), "undisturbed", **SETTINGS)
        assert train_here(run) == "finished"
    return run


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder

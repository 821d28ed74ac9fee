"""Real runs for tests: a configuration, a run directory, the engine in this process or in one of its own, and its events."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tomlkit

from engine import events
from engine.config_file import parse, resolve, write_resolved
from engine.control import Control
from engine.launch import PROJECT
from engine.manifest import newest_verified
from engine.queue import Tail
from engine.reporter import Reporter
from engine.run_directory import RunDirectory
from tests.patience import wait_until

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"precision": "fp32"},
    "data": {"max_seq_length": 128, "eval_fraction": 0.2},
    "lora": {"r": 4, "alpha": 8.0},
    "train": {"batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 5e-3, "max_steps": 8},
    "eval": {"every_steps": 4},
    "sample": {"every_steps": 0, "num_prompts": 1, "max_new_tokens": 4},
    "checkpoint": {"every_steps": 2, "every_minutes": 0.0},
}

T = TypeVar("T")


def write_records(path: Path, count: int = 24) -> Path:
    """Alpaca records of different lengths, two of three with thinking."""
    records = []
    for number in range(count):
        thinking = f"<thinking>\n把 {number} 加 {number + 1}。\n</thinking>\n\n" if number % 3 else ""
        answer = f"{thinking}等于 {2 * number + 1}。" + "对。" * (number % 5)
        records.append({"instruction": f"{number} 加 {number + 1} 等于多少？", "input": "", "output": answer})
    path.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in records), encoding="utf-8")
    return path


def make_run(folder: Path, model: Path, data: Path, name: str = "run", /, **changes: dict[str, Any]) -> RunDirectory:
    """A run directory with a resolved configuration; `changes` are tables laid over SETTINGS."""
    tables = {section: SETTINGS.get(section, {}) | changes.get(section, {}) for section in SETTINGS.keys() | changes.keys()}
    tables["model"] = {"name": str(model)} | tables["model"]
    tables["data"] = {"path": str(data)} | tables["data"]
    run = RunDirectory(folder / name)
    run.path.mkdir(parents=True)
    write_resolved(run.config, resolve(parse(tomlkit.dumps(tables), "test"), folder), {})
    return run


def train_here(run: RunDirectory) -> str:
    """Run the trainer in this process, from the newest verified checkpoint, and return its reason."""
    from engine.config_file import read_resolved
    from engine.trainer import Trainer

    reporter = Reporter(run)
    trainer = Trainer(run, read_resolved(run.config), Control(run), reporter)
    checkpoint, _ = newest_verified(run)
    trainer.prepare(checkpoint)
    reason = trainer.run()
    reporter.close(events.EngineStopped(reason=reason, exit_code=0, step=trainer.step))
    return reason


def start_engine(run: RunDirectory, before: Callable[[], None] | None = None) -> subprocess.Popen:
    """The engine as a child of the test, its output in engine.log. before: called in the child before it starts."""
    with open(run.engine_log, "ab") as log:
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
        return subprocess.Popen(
            [sys.executable, "-m", "engine", str(run.path)], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment, preexec_fn=before,  # noqa: PLW1509 - the tests start no threads
        )  # fmt: skip


def all_events(run: RunDirectory) -> list[events.Event | events.Unknown]:
    tail, found = Tail(run.events, events.decode), []
    while batch := tail.read():
        found += batch
    return found


def of_type(run: RunDirectory, kind: type[T]) -> list[T]:
    return [event for event in all_events(run) if isinstance(event, kind)]


def losses(run: RunDirectory) -> dict[int, float]:
    """The last loss reported for each step; steps done twice keep the later one."""
    return {event.step: event.loss for event in of_type(run, events.Step)}


class Counting:
    """How many events of each kind a run has by now, read on from where the last look ended: cheap for long logs."""

    def __init__(self, run: RunDirectory):
        self._tail, self._counts = Tail(run.events, events.decode), Counter[type]()

    def of(self, kind: type) -> int:
        """Events of `kind` so far."""
        while batch := self._tail.read():
            self._counts.update(type(event) for event in batch)
        return self._counts[kind]


def first_step(run: RunDirectory, process: subprocess.Popen) -> None:
    """Wait until `run` trains. Fails at once, with the end of its log, when `process` ends before."""
    wait_until(lambda: of_type(run, events.Step) or process.poll() is not None, "a step")
    log = run.engine_log.read_text(errors="replace")[-1000:] if run.engine_log.exists() else ""
    assert of_type(run, events.Step), f"ended with {process.returncode} before its first step: {log}"

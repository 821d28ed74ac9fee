"""Run directories as an engine leaves them, written by the real EventWriter, for tests of the console."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import events
from engine.config import Config
from engine.config_file import write_resolved
from engine.queue import EventWriter
from engine.run_directory import RunDirectory, RunLock


def step(number: int, max_steps: int = 20, **values) -> events.Step:
    """One step event; its loss falls with its number."""
    return events.Step(**({
        "step": number, "max_steps": max_steps, "epoch": number / max_steps, "loss": 2.0 + 1.0 / number, "thinking_loss": 2.5,
        "answer_loss": 1.5, "learning_rate": 1e-4, "grad_norm": 0.5, "tokens_seen": 100 * number, "supervised_tokens": 80 * number,
        "tokens_per_s": 150.0, "step_s": 1.0, "peak_memory_gib": 2.0,
    } | values))  # fmt: skip


def evaluation(number: int, loss: float) -> events.Eval:
    """One evaluation event."""
    return events.Eval(
        step=number, loss=loss, thinking_loss=loss, answer_loss=loss, perplexity=1.0, accuracy=0.5, thinking_accuracy=0.4,
        answer_accuracy=0.75, supervised_tokens=10, examples=2, seconds=1.0,
    )  # fmt: skip


def sample(id: str, number: int, prompt: str = "SM4?", thinking: str = "想", answer: str = "128 位") -> events.SampleFinished:
    """One finished sample."""
    return events.SampleFinished(
        id=id, step=number, prompt=prompt, thinking=thinking, answer=answer, opened=True, closed=True, well_formed=True, ended=True,
        tokens=9, tokens_per_s=20.0,
    )  # fmt: skip


def beginning(max_steps: int = 20, device: str = "cpu") -> list[events.Event]:
    """What an engine says before its first step."""
    return [
        events.EngineStarted(start_id="a", pid=1, versions={}),
        events.Phase(name="import"),
        events.Phase(name="load", detail="demo"),
        events.Plan(
            max_steps=max_steps, steps_per_epoch=max_steps, device=device, precision="fp32", precision_reason="",
            gradient_checkpointing=False, trainable_parameters=1000, total_parameters=100_000,
        ),
        evaluation(0, 3.0),
        sample("0-0", 0, answer="基座的回答"),
        events.Phase(name="train"),
    ]  # fmt: skip


def stopped(reason: str, number: int, error: str = "") -> events.EngineStopped:
    """An engine's last word."""
    codes = {"finished": 0, "stopped": 3, "interrupted": 130}
    return events.EngineStopped(reason=reason, exit_code=codes.get(reason, 1), step=number, error=error)


def make_run(output_dir: Path, name: str, written: list[events.Event]) -> RunDirectory:
    """A run directory holding `written`."""
    run = RunDirectory(output_dir / name)
    run.path.mkdir(parents=True)
    write_resolved(run.config, Config(), {"danlu": "0"})
    write(run, written)
    return run


def write(run: RunDirectory, written: list[events.Event]) -> None:
    """Append events as an engine does."""
    writer = EventWriter(run.events)
    for event in written:
        writer.emit(event)
    writer.close()


@contextmanager
def engine_alive(run: RunDirectory) -> Iterator[None]:
    """Hold the run's lock, as an engine does for its whole life."""
    lock = RunLock(run)
    try:
        yield
    finally:
        os.close(lock._file)

"""F7: memory runs out in forward, backward, optimiser, evaluation or sampling, of the GPU or of the host: same losses, same tokens."""

import re
import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from engine import events, sampling, train_step
from engine.config_file import read_resolved
from engine.errors import EnvironmentFault
from engine.launch import PROJECT
from engine.run_directory import RunDirectory
from tests.engine_runs import losses, of_type, train_here
from tests.faults.bench import Bench, NotHere
from tests.faults.runs import new_run
from tests.patience import run_to_end

TITLE = "torch.OutOfMemoryError, MemoryError and the CPU allocator's refusal in forward, backward, optimiser, evaluation, sampling"
SECONDS = 240
STEPS = 6
QUIET = {
    "lora": {"dropout": 0.0},
    "train": {"max_steps": STEPS, "batch_size": 4, "gradient_accumulation_steps": 1},
    "checkpoint": {"every_steps": 0},
}
"""No dropout: its numbers are drawn for a whole micro-batch, so another split draws others."""
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 B."),
)
PLACES = ("forward", "backward", "optimizer", "evaluate", "sample")


def inject(bench: Bench) -> None:
    """Each place, each error, at a drawn call; the run ends as the one that had memory enough."""
    wanted = _facts(bench, "enough memory", None)
    cases = [(place, error) for place in PLACES for error in ERRORS] * bench.count(1, 3)
    for number, (place, error) in enumerate(bench.some(cases, 4)):
        if not bench.in_time():
            return
        at = bench.random.randrange(1, {"evaluate": 4, "sample": 3}.get(place, STEPS + 1))
        with bench.injection(f"{type(error).__name__} in {place}, call {at}"):
            facts = _facts(bench, f"run-{number}", (place, at, error))
            assert facts["tokens"] == wanted["tokens"]
            assert facts["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
            assert facts["eval"] == pytest.approx(wanted["eval"], rel=1e-5) or place == "evaluate"
    _never_enough(bench)


def _never_enough(bench: Bench) -> None:
    """The run ends with commands, and whoever types one of them has a run that trains."""
    run = new_run(bench, "never", **QUIET)
    with bench.injection("memory that never suffices"):
        error = _without_memory(run)
        told = [warning.text for warning in of_type(run, events.Warning) if warning.code == "out_of_memory"]
        assert [text.partition(": ")[2].split()[0] for text in told] == ["micro-batches", "micro-batches", "activations", "the"], told
        shorter = _obey(_commands(error)[0])
        longest = read_resolved(shorter.config).data.max_seq_length
        assert longest < read_resolved(run.config).data.max_seq_length and losses(shorter).keys() == set(range(1, STEPS + 1))
    if bench.quick:
        return
    with bench.injection("recomputation that was turned off, then offered"):
        run = new_run(bench, "off", **QUIET | {"train": QUIET["train"] | {"gradient_checkpointing": "off"}})
        resumed = _obey(_commands(_without_memory(run))[0])
        assert resumed.path == run.path and losses(run).keys() == set(range(1, STEPS + 1))
    with bench.injection("the offered 4-bit base"):
        quantised = _obey(_commands(error)[1])
        assert read_resolved(quantised.config).model.quantization == "nf4" and losses(quantised)


def _without_memory(run: RunDirectory) -> str:
    """What the run says in the end."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(EnvironmentFault) as raised:
        patch.setattr(train_step, "forward", _raises(ERRORS[0]))
        train_here(run)
    return str(raised.value)


def _commands(error: str) -> list[list[str]]:
    return [shlex.split(found) for found in re.findall(r"danlu (?:train|resume) [^;]*", error)]


def _obey(command: list[str]) -> RunDirectory:
    """Type the command and return its run."""
    done = run_to_end([sys.executable, "-m", "tui", *command[1:], "--plain"], cwd=PROJECT, text=True)
    if "bitsandbytes" in done.stderr and not find_spec("bitsandbytes"):
        raise NotHere("4-bit weights need bitsandbytes")
    assert done.returncode == 0, done.stderr[-600:]
    if command[1] == "resume":
        return RunDirectory(command[2])
    return RunDirectory(Path(read_resolved(Path(command[2])).run.output_dir) / command[command.index("--name") + 1])


def _facts(bench: Bench, name: str, fault: tuple[str, int, BaseException] | None) -> dict:
    run = new_run(bench, name, sample={"num_prompts": 1, "max_new_tokens": 3}, eval={"every_steps": 3, "at_start": True}, **QUIET)
    with pytest.MonkeyPatch.context() as patch:
        if fault:
            _plant(patch, *fault)
        train_here(run)
    if fault:
        assert any(warning.code == "out_of_memory" for warning in of_type(run, events.Warning)), "nothing was told"
    steps = of_type(run, events.Step)
    return {"losses": losses(run), "tokens": [step.supervised_tokens for step in steps], "eval": of_type(run, events.Eval)[-1].loss}


def _plant(patch: pytest.MonkeyPatch, place: str, at: int, error: BaseException) -> None:
    from engine import evaluation

    owner, name = {
        "forward": (train_step, "forward"),
        "backward": (torch.Tensor, "backward"),
        "optimizer": (torch.optim.AdamW, "step"),
        "evaluate": (evaluation, "score"),
        "sample": (sampling, "generate"),
    }[place]
    real, calls = getattr(owner, name), []

    def fails_once(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == min(at, STEPS if place == "optimizer" else at):
            raise error
        return real(*arguments, **options)

    patch.setattr(owner, name, fails_once)


def _raises(error: BaseException) -> Callable:
    def fails(*arguments: object, **options: object) -> None:
        raise error

    return fails

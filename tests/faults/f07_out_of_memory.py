"""F7: memory runs out in forward, backward, optimiser, evaluation or sampling, of the GPU or of the host: same losses, same tokens."""

from collections.abc import Callable

import pytest
import torch

from engine import events, sampling, train_step
from tests.engine_runs import losses, of_type, train_here
from tests.faults.bench import Bench
from tests.faults.runs import new_run

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
    with bench.injection("memory that never suffices"):
        run = new_run(bench, "never", **QUIET)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Exception, match="nf4"):
            patch.setattr(train_step, "forward", _raises(ERRORS[0]))
            train_here(run)
        told = [warning.text for warning in of_type(run, events.Warning) if warning.code == "out_of_memory"]
        assert [text.partition(": ")[2].split()[0] for text in told] == ["micro-batches", "micro-batches", "activations", "the"], told


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
        "evaluate": (evaluation, "forward"),
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

"""F17 and F10 for runs of several processes: any part of them is killed or halted at any moment, and the run goes on from its
checkpoint to the losses of one undisturbed process. Parts: the first rank, another one, torchrun, the launcher."""

import contextlib
import os
import shutil
import signal
import time

import psutil
import pytest

from engine import events
from engine.changes import changed_document
from engine.launch import PROJECT, launch_engine
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, first_step, losses, of_type
from tests.faults.bench import Bench, NotHere
from tests.faults.runs import new_run, undisturbed
from tests.patience import ended, wait_until

TITLE = "a part of a run of two processes killed, halted or short of memory; one process more or fewer: the losses of one process"
SECONDS = 500.0
REAPED_WITHIN_S = 10.0
PLAIN = {
    "data": {"packing": False},
    "lora": {"dropout": 0.0},
    "train": {"batch_size": 2, "gradient_accumulation_steps": 3, "max_steps": 40, "num_epochs": 99},
    "checkpoint": {"keep": 40},
}
"""Ranks draw their own dropout, so only without it can two processes compute what one does. Six rows a step: the last step of an epoch
has fewer, and not equally many for both."""
FROM_THE_BASE = {
    "pissa": {"lora": {"dropout": 0.0, "init": "pissa"}, "train": PLAIN["train"] | {"optimizer": "schedule_free"}},
    "olora": {"lora": {"dropout": 0.0, "init": "olora", "plus_ratio": 4.0}},
}
"""Adapters that begin as a part of the base: a resumed run must take the same part out again, on every rank."""
PARTS = ("rank 0", "rank 1", "torchrun", "launcher")
LAST_KILL = 25
"""Of 40 steps: the run must not be over before it is hit."""
SHORTAGE = """
import os
if os.environ.get("RANK") == "1":
    import torch
    from engine import train_step
    real, calls = train_step.backward, []
    def backward(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise torch.OutOfMemoryError("planted")
        return real(*arguments)
    train_step.backward = backward
"""


def inject(bench: Bench) -> None:
    """Every part killed, by DDP and FSDP2 in turn; a halt, signals, memory, other numbers of processes."""
    if bench.quick:
        raise NotHere("tests/test_distributed.py shows the quick subset")
    whole = one_process(bench, "plain")
    [summary] = of_type(whole, events.DataSummary)
    assert summary.train_examples % 6 % 2, "the last step of an epoch is to be uneven"
    recipes = ("plain", "plain", *FROM_THE_BASE)
    for number, part in enumerate(bench.random.sample(PARTS, len(PARTS))):
        if not bench.in_time():
            bench.note(f"out of time after {number}")
            return
        strategy, recipe = ("ddp", "fsdp2")[number % 2], recipes[number]
        with bench.injection(f"{strategy}, {recipe}: {part} killed"):
            one_kill(bench, f"kill-{number}", strategy, part, signal.SIGKILL, recipe)
    with bench.injection("ddp: rank 1 halted"):
        one_kill(bench, "halt", "ddp", "rank 1", signal.SIGSTOP, "plain")
    with bench.injection("ddp: HUP to launcher and ranks, INT to rank 1, then TERM to rank 0; goes on as one process"):
        polite_signals(bench, losses(whole))
    with bench.injection("ddp: one process goes on as two, and memory runs out on rank 1"):
        one_more(bench, whole)


def settings(recipe: str) -> dict[str, dict]:
    return PLAIN | FROM_THE_BASE.get(recipe, {})


def one_process(bench: Bench, recipe: str) -> RunDirectory:
    return undisturbed(bench, f"one process, {recipe}", **settings(recipe))


def of_two(bench: Bench, name: str, strategy: str, recipe: str = "plain") -> RunDirectory:
    return new_run(bench, name, parallel={"strategy": strategy, "num_gpus": 2}, **settings(recipe))


def one_kill(bench: Bench, name: str, strategy: str, part: str, number: int, recipe: str) -> None:
    """Hit `part` at a random step, look who is left and what is said, resume, compare."""
    run, at = of_two(bench, name, strategy, recipe), bench.random.randrange(1, LAST_KILL)
    engine = launch_engine(run)
    first_step(run, engine)
    parts = parts_of(run)
    wait_until(lambda: max(losses(run)) >= at or engine.poll() is not None, f"step {at}")
    os.kill(parts[part], number)
    began = time.monotonic()
    ended(engine, "the engine")
    bench.note(f"{strategy} after {part} {time.monotonic() - began:.1f} s")
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in parts.values()), "every part to be gone", REAPED_WITHIN_S)
    stopped = all_events(run)[-1]
    assert isinstance(stopped, events.EngineStopped) and stopped.reason in ("failed", "died"), stopped
    if part.startswith("rank"):
        assert part in stopped.error, stopped.error
    to_the_end(run)
    assert close(losses(run), losses(one_process(bench, recipe))), "other losses than one process"
    assert not told(run, "resume_equivalent"), "as many processes as before are the same run"


def polite_signals(bench: Bench, expected: dict[int, float]) -> None:
    """A hang-up is nobody's end, and what the first rank hears ends all of them after the same step, with a checkpoint, from which one
    process goes on."""
    run = of_two(bench, "polite", "ddp")
    engine = launch_engine(run)
    first_step(run, engine)
    parts = parts_of(run)
    for part in ("launcher", "rank 0", "rank 1"):
        os.kill(parts[part], signal.SIGHUP)
    os.kill(parts["rank 1"], signal.SIGINT)
    at = max(losses(run))
    wait_until(lambda: max(losses(run)) > at, "another step")
    os.kill(parts["rank 0"], signal.SIGTERM)
    code, last = ended(engine, "the engine"), all_events(run)[-1]
    assert isinstance(last, events.EngineStopped) and (last.reason, code) == ("interrupted", 130), last
    assert run.checkpoint(last.step).is_dir() and not any(psutil.pid_exists(pid) for pid in parts.values())
    changed_document(run, ["parallel.strategy=single", "parallel.num_gpus=1"])[0].save()
    to_the_end(run)
    assert told(run, "resume_equivalent").endswith("parallel.strategy ddp → single; processes 2 → 1")
    assert close(losses(run), expected), "other losses than one process"


def one_more(bench: Bench, whole: RunDirectory) -> None:
    """The way back; what one rank lacks both give up, and the step is taken again by both."""
    run = of_two(bench, "one-more", "ddp")
    shutil.copytree(whole.checkpoint(20), run.checkpoint(20))
    (bench.folder / "sitecustomize.py").write_text(SHORTAGE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{PROJECT}:{bench.folder}")
        to_the_end(run)
    assert told(run, "resume_equivalent").endswith("parallel.strategy single → ddp; processes 1 → 2")
    assert told(run, "out_of_memory").startswith("out of memory: micro-batches are now 1 row")
    assert close(losses(run), {step: loss for step, loss in losses(whole).items() if step > 20}), "other losses than one process"


def to_the_end(run: RunDirectory) -> None:
    assert ended(launch_engine(run), "the engine") == 0, all_events(run)[-1]


def told(run: RunDirectory, code: str) -> str:
    """The one warning with that code; "" without one."""
    texts = [warning.text for warning in of_type(run, events.Warning) if warning.code == code]
    assert len(texts) <= 1, texts
    return texts[0] if texts else ""


def parts_of(run: RunDirectory) -> dict[str, int]:
    """Process ids by name."""
    launcher = psutil.Process(run.holder())
    torchrun = next(child for child in launcher.children() if "engine.torchrun" in child.cmdline())
    ranks = sorted(child.pid for child in torchrun.children() if is_rank(child))
    return {"launcher": launcher.pid, "torchrun": torchrun.pid, "rank 0": ranks[0], "rank 1": ranks[1]}


def is_rank(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "engine" in process.cmdline()
    return False


def close(found: dict[int, float], expected: dict[int, float]) -> bool:
    return found.keys() == expected.keys() and all(abs(found[step] - expected[step]) <= 1e-5 * expected[step] for step in expected)

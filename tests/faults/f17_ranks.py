"""F17 and F10 for runs of several processes: any part of them is killed or halted at any moment, and the run goes on from its
checkpoint to the losses of one undisturbed process. Parts: the first rank, another one, torchrun, the launcher."""

import contextlib
import os
import signal
import time

import psutil

from engine import events
from engine.launch import launch_engine
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, first_step, losses
from tests.faults.bench import Bench, NotHere
from tests.faults.runs import SETTINGS, new_run, undisturbed
from tests.patience import ended, wait_until

TITLE = "a part of a run of two processes killed or halted: named, nobody left, resumed to the losses of one process"
SECONDS = 500.0
REAPED_WITHIN_S = 10.0
PLAIN = {"lora": {"dropout": 0.0}}
"""Ranks draw their own dropout, so only without it can two processes compute what one does."""


def inject(bench: Bench) -> None:
    """Kills by DDP and FSDP2, one halted rank."""
    if bench.quick:
        raise NotHere("tests/test_distributed.py shows the quick subset")
    expected = losses(undisturbed_without_dropout(bench))
    for number in range(bench.count(0, 4)):
        strategy = ("ddp", "fsdp2")[number % 2]
        part = bench.random.choice(("rank 0", "rank 1", "torchrun", "launcher"))
        if not bench.in_time():
            bench.note(f"out of time after {number}")
            return
        with bench.injection(f"{strategy}: {part} killed"):
            one_kill(bench, f"kill-{number}", strategy, part, signal.SIGKILL, expected)
    with bench.injection("ddp: rank 1 halted"):
        one_kill(bench, "halt", "ddp", "rank 1", signal.SIGSTOP, expected)
    with bench.injection("ddp: HUP to launcher and ranks, INT to rank 1, then TERM to rank 0"):
        polite_signals(bench, expected)


def undisturbed_without_dropout(bench: Bench) -> RunDirectory:
    return undisturbed(bench, "one process", **PLAIN)


def one_kill(bench: Bench, name: str, strategy: str, part: str, number: int, expected: dict[int, float]) -> None:
    """Hit `part` at a random step, look who is left and what is said, resume, compare."""
    run = new_run(bench, name, parallel={"strategy": strategy, "num_gpus": 2}, **PLAIN)
    at = bench.random.randrange(1, SETTINGS["train"]["max_steps"] - 2)
    engine = launch_engine(run)
    first_step(run, engine)
    wait_until(lambda: max(losses(run)) >= at or engine.poll() is not None, f"step {at}")
    parts = parts_of(run)
    os.kill(parts[part], number)
    began = time.monotonic()
    ended(engine, "the engine")
    bench.note(f"{strategy} after {part} {time.monotonic() - began:.1f} s")
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in parts.values()), "every part to be gone", REAPED_WITHIN_S)
    stopped = all_events(run)[-1]
    assert isinstance(stopped, events.EngineStopped) and stopped.reason in ("failed", "died"), stopped
    if part.startswith("rank"):
        assert part in stopped.error, stopped.error
    assert ended(launch_engine(run), "the engine") == 0
    assert close(losses(run), expected), "other losses than one process"


def polite_signals(bench: Bench, expected: dict[int, float]) -> None:
    """A hang-up is nobody's end, and what the first rank hears ends all of them after the same step, with a checkpoint."""
    run = new_run(bench, "polite", parallel={"strategy": "ddp", "num_gpus": 2}, **PLAIN)
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
    assert ended(launch_engine(run), "the resumed engine") == 0
    assert close(losses(run), expected), "other losses than one process"


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

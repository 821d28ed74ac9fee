"""F1: the engine is killed with SIGKILL at random moments and inside saves, resumed, killed again. Every loss is the undisturbed one's."""

import os
import signal
import time

from engine import events
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, losses, of_type
from tests.faults.bench import Bench
from tests.faults.runs import new_run, undisturbed
from tests.faults.zygote import Zygote

TITLE = "kill -9 the engine at random moments, half of them inside a save; then the losses must be bit-equal"
SECONDS = 600
KILLS_A_RUN = 10
OPERATIONS = 40
"""About as many disk operations has a save with its rotation."""


def inject(bench: Bench) -> None:
    """Kill each run ten times, then let it finish and compare."""
    wanted = losses(undisturbed(bench))
    zygote = Zygote(bench.folder / "zygote.log")
    kills, inside = bench.count(3, 200), 0
    try:
        for number in range(-(-kills // KILLS_A_RUN)):
            if not bench.in_time():
                break
            run = new_run(bench, f"run-{number}")
            done = min(KILLS_A_RUN, kills - number * KILLS_A_RUN)
            for kill in range(done):
                inside += _kill(bench, zygote, run, in_save=kill % 2 == 0)
            bench.injected += done - 1
            with bench.injection(f"run {number} after {done} kills"):
                zygote.start(run)
                code = zygote.wait()
                assert code == 0, f"exit code {code}: {run.engine_log.read_text()[-600:]}"
                assert losses(run) == wanted
                found = all_events(run)
                assert [event.seq for event in found] == list(range(len(found)))
                assert not list(run.path.glob(".tmp-*")) and of_type(run, events.FinalModelSaved)
                bench.survived += done - 1
    finally:
        zygote.close()
    bench.note(f"{inside} kills landed inside a save")


def _kill(bench: Bench, zygote: Zygote, run: RunDirectory, in_save: bool) -> bool:
    """Start the engine, kill it, and return whether that was inside a save. One that has finished before is fine too."""
    if in_save:
        zygote.start(run, kill_at=bench.random.randrange(1, 3 * OPERATIONS))
        zygote.wait()
    else:
        before = len(losses(run)), _size(run)
        engine = zygote.start(run)
        deadline = time.monotonic() + 60
        while (len(losses(run)), _size(run)) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(bench.random.random() * 0.8)
        os.kill(engine, signal.SIGKILL)
        zygote.wait()
    return any(run.path.glob(".tmp-*"))


def _size(run: RunDirectory) -> int:
    return run.events.stat().st_size if run.events.exists() else 0

"""F1: the engine is killed with SIGKILL at random moments and inside saves, resumed, killed again. Every loss is the undisturbed one's."""

import contextlib
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
    """Kill runs until enough kills have hit; each run then finishes and is compared. One kill is one injection."""
    wanted = losses(undisturbed(bench))
    zygote = Zygote(bench.folder / "zygote.log")
    hits: list[bool] = []
    try:
        while len(hits) < bench.count(3, 200) and bench.in_time():
            run = new_run(bench, f"run-{len(hits)}")
            before = len(hits)
            while len(hits) - before < min(KILLS_A_RUN, bench.count(3, 200) - before) and (hit := _kill(bench, zygote, run)):
                hits.append(hit == "in a save")
            with bench.injection(f"kills {before + 1} to {len(hits)}"):
                _finishes(zygote, run, wanted)
                bench.survived += len(hits) - before - 1
            bench.injected += len(hits) - before - 1
    finally:
        zygote.close()
    bench.note(f"{sum(hits)} of {len(hits)} kills landed inside a save")


def _finishes(zygote: Zygote, run: RunDirectory, wanted: dict[int, float]) -> None:
    zygote.start(run)
    code = zygote.wait()
    assert code == 0, f"exit code {code}: {run.engine_log.read_text()[-600:]}"
    assert losses(run) == wanted
    found = all_events(run)
    assert [event.seq for event in found] == list(range(len(found)))
    assert not list(run.path.glob(".tmp-*")) and of_type(run, events.FinalModelSaved)


def _kill(bench: Bench, zygote: Zygote, run: RunDirectory) -> str:
    """Start the engine and kill it; say where that hit, '' when the run had ended before."""
    if bench.random.random() < 0.5:
        zygote.start(run, kill_at=bench.random.randrange(1, 3 * OPERATIONS))
    else:
        before = len(losses(run)), _size(run)
        engine = zygote.start(run)
        deadline = time.monotonic() + 60
        while (len(losses(run)), _size(run)) == before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(bench.random.random() * 0.8)
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
    if zygote.wait() != -signal.SIGKILL:
        return ""
    return "in a save" if any(run.path.glob(".tmp-*")) else "elsewhere"


def _size(run: RunDirectory) -> int:
    return run.events.stat().st_size if run.events.exists() else 0

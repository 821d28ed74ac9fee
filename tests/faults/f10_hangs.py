"""F10, of one process: a phase that never ends, and an engine that dies before it began. Diagnosed in seconds, nothing left behind."""

import os
import sys
import time

from engine import events
from engine.processes import end_engine
from tests.engine_runs import all_events, of_type
from tests.faults.bench import Bench
from tests.faults.f02_signals import _preset
from tests.faults.family import Family
from tests.faults.runs import new_run
from tests.patience import ended, run_to_end, wait_until
from tests.terminal import Terminal

TITLE = "a phase hangs (import, tokenise, load, train, evaluate); the engine dies before it began"
SECONDS = 150
EARLY = {"its first import fails": "raise SystemExit('libm.so.6: no such file')", "a bare exit": "import os; os._exit(9)"}
PHASES = ("import", "tokenise", "load", "train", "evaluate")


def inject(bench: Bench) -> None:
    """Hangs are ended by `danlu stop --now`; deaths before the beginning leave no run."""
    for phase in bench.some(PHASES, 1):
        with bench.injection(f"{phase} hangs"), Family() as family:
            _hang(bench, family, phase)
            family.nothing_left()
    for what, broken in EARLY.items():
        with bench.injection(f"dies before it began: {what}"), Family() as family:
            _dies_early(bench, family, broken)
            family.nothing_left()


def _hang(bench: Bench, family: Family, phase: str) -> None:
    run = new_run(bench, f"hang-{phase}", eval={"at_start": phase == "evaluate", "every_steps": 2})
    supervisor = family.supervised(run, "tests.faults.faulty_engine", f"hang:{phase}")
    wait_until(lambda: any(event.code == "stalled" for event in of_type(run, events.Warning)), "the watchdog")
    warning = next(event for event in of_type(run, events.Warning) if event.code == "stalled")
    assert f"phase {phase} " in warning.text, warning.text
    last_progress = max(event.time for event in all_events(run) if not isinstance(event, events.Hardware | events.Warning))
    bench.note(f"{phase} told after {warning.time - last_progress:.1f} s")
    wait_until(lambda: " in _hang" in run.engine_log.read_text(errors="replace"), "the stack in engine.log")
    terminal = Terminal(["--lang", "en", "attach", str(run.path)], bench.folder, 100, 30, **family.environment)
    terminal.wait_for("stalled")
    terminal.wait_for("--now")
    terminal.press("q")
    ended(terminal.process, "the console")
    terminal.close()
    end_engine(run)
    ended(supervisor, "the supervisor")
    assert isinstance(all_events(run)[-1], events.EngineStopped)


def _dies_early(bench: Bench, family: Family, broken: str) -> None:
    """`danlu train` with an engine whose first import fails: the message has its last words, and no run directory stays."""
    poisoned = bench.folder / "poisoned"
    poisoned.mkdir(exist_ok=True)
    (poisoned / "sitecustomize.py").write_text(f"import sys\nif 'engine' in sys.orig_argv:\n    {broken}\n")
    preset = _preset(new_run(bench, f"early-{time.monotonic_ns()}"))
    environment = os.environ | family.environment
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{poisoned}"
    arguments = ["--lang", "en", "--runs-dir", str(bench.folder / "out"), "train", str(preset), "--name", "one", "--detach"]
    command = [sys.executable, "-m", "tui", *arguments]
    began = time.monotonic()
    started = run_to_end(command, env=environment, text=True)
    assert started.returncode == 1, started.stderr
    assert "ended before it began" in started.stderr, started.stderr
    assert not (bench.folder / "out" / "one").exists()
    bench.note(f"told after {time.monotonic() - began:.1f} s")

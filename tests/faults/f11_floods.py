"""F11: the engine floods its log, split inside characters, one line of 50 MB; its console is halted. Training neither waits nor changes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine import events
from engine.engine_log import last_lines
from engine.run_directory import RunDirectory
from tests.engine_runs import Counting, all_events, losses, of_type
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.faults.runs import new_run
from tests.patience import PATIENCE_S, ended, wait_until
from tests.terminal import Terminal
from tests.whitelist import find_foreign

TITLE = "100 MB of log with a line of 50 MB, split UTF-8; a console halted for a minute"
SECONDS = 150
ALONE = True
"""Two times of a step are compared."""
FLOOD_STEPS = 10
"""10 MB each."""
SLOWER = 2.0
"""A step may seem so many times as long, because cores share caches and clock; a blocked writer would stand still."""


def inject(bench: Bench) -> None:
    """Losses must be those of a run without any of it."""
    with bench.injection("flood"), Family() as family:
        _flood(bench, family)
        family.nothing_left()
    with bench.injection("halted console"), Family() as family:
        _halted_console(bench, family)
        family.nothing_left()


def _flood(bench: Bench, family: Family) -> None:
    steps = bench.count(3, FLOOD_STEPS)
    calm, loud = (new_run(bench, name, train={"max_steps": steps}) for name in ("calm", "loud"))
    assert ended(family.supervised(calm, "engine"), "the engine") == 0
    assert ended(family.supervised(loud, "tests.faults.faulty_engine", "flood:"), "the engine") == 0
    assert losses(loud) == losses(calm), "the losses differ"
    assert all(len(line) <= 2000 for line in last_lines(loud)), "a line of megabytes would come to the screen"
    size = loud.engine_log.stat().st_size
    assert size > steps * 10_000_000, size
    began = time.process_time()
    last_lines(loud, 60)
    assert time.process_time() - began < 1.0, "the end of a large log is slow to find"
    command = [sys.executable, "-m", "tui", "logs", str(loud.path), "--engine"]
    logged = subprocess.run(command, env=os.environ | family.environment, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert logged.returncode == 0 and len(logged.stdout) > 0.9 * size
    assert (foreign := find_foreign(logged.stdout[:5_000_000].decode("utf-8", "replace"))) == "", repr(foreign)
    bench.note(f"{size >> 20} MiB of log")


def _halted_console(bench: Bench, family: Family) -> None:
    halted_s = bench.count(2, 60)
    run = new_run(bench, "watched", train={"max_steps": 100_000, "num_epochs": 10_000}, checkpoint={"every_steps": 0})
    supervisor = family.supervised(run, "engine")
    terminal = Terminal(["--lang", "en", "attach", str(run.path)], bench.folder, 100, 30, **family.environment)
    terminal.wait_for("training")
    counting = Counting(run)
    before, _ = _step_time(run, counting, 2.0)
    os.kill(terminal.process.pid, signal.SIGSTOP)
    during, steps = _step_time(run, counting, halted_s)
    os.kill(terminal.process.pid, signal.SIGCONT)
    newest = of_type(run, events.Step)[-1].step
    wait_until(lambda: _shown_step(terminal) >= newest, "the newest step on screen")
    os.kill(supervisor.pid, signal.SIGTERM)
    ended(supervisor, "the supervisor")
    terminal.wait_for("interrupted")
    terminal.press("q")
    ended(terminal.process, "the console")
    terminal.close()
    numbers = [event.seq for event in all_events(run)]
    assert numbers == list(range(len(numbers)))
    ratio = during / before
    assert ratio < SLOWER, f"steps took {ratio:.1f} times as long while nobody read"
    bench.note(f"console halted {halted_s} s: {steps} steps, time of a step × {ratio:.2f}")


def _step_time(run: RunDirectory, counting: Counting, seconds: float) -> tuple[float, int]:
    """Seconds a step takes, and how many are taken, in the next `seconds` or longer. Waiting for a core is left out, other waiting not."""
    engine = run.holder()
    first, began, queued = counting.of(events.Step), time.monotonic(), _queued_s(engine)
    wait_until(lambda: time.monotonic() > began + seconds and counting.of(events.Step) > first + 5, "steps", seconds + PATIENCE_S)
    steps = counting.of(events.Step) - first
    return (time.monotonic() - began - (_queued_s(engine) - queued)) / steps, steps


def _queued_s(pid: int) -> float:
    """How long the process's first thread, which trains, has waited for a core so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def _shown_step(terminal: Terminal) -> int:
    import re

    found = re.search(r"([\d,]+)/100,000", terminal.text)
    return int(found.group(1).replace(",", "")) if found else 0

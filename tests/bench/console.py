"""`python -m tests.bench.console`: the console against its budgets, one table with budget beside measurement.

CPU time is of the console's own process, so other work on the machine hardly changes it; what is in wall seconds needs a quiet one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine import events, host
from engine.queue import EventWriter
from engine.run_directory import RunDirectory
from tests.console_runs import beginning, engine_alive, make_run, sample, step, stopped, write
from tests.faults.family import Family
from tests.terminal import Terminal

EVENTS = POINTS = 100_000
WATCH_S = 30.0
SETTLE_S = 5.0
"""A new console imports what its screen needs; that is not rest."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure everything and print the table."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    cpu, load = host.read_cpu(), os.getloadavg()[0]
    print(f"{cpu.name}, {cpu.threads:g} threads, load {load:.1f}; python {sys.version.split()[0]}, {head}")
    print(f"{'what':<44} {'budget':<22} measured")
    for what, budget, measure in ROWS:
        with tempfile.TemporaryDirectory(prefix="danlu-bench-") as folder:
            print(f"{what:<44} {budget:<22} {measure(Path(folder))}", flush=True)
    return 0


def first_paint(folder: Path) -> str:
    """From starting the command to the first painted screen, warm, the median of five."""
    taken = []
    for _ in range(6):
        began = time.perf_counter()
        terminal = _console(folder)
        terminal.wait_for("Danlu")
        taken.append(time.perf_counter() - began)
        _end(terminal)
    return f"{statistics.median(taken[1:]):.2f} s wall"


def at_rest(folder: Path) -> str:
    """A run that has ended, on screen."""
    run = _long_run(folder, 1000, stopped("finished", 1000))
    return _watched(_console(folder, "attach", str(run.path)), lambda second: None)


def live_run(folder: Path) -> str:
    """A step a second, the machine's load every other second, a sample being written, as in a real run on a GPU."""
    run = _long_run(folder, 1000)
    writer = EventWriter(run.events)
    writer.emit(events.SampleStarted(id="live", prompt="SM4 的分组长度是多少？", step=1000))
    written = 0

    def each(tenth: int) -> None:
        nonlocal written
        text = "分组长度是"[tenth % 5] + (" " if tenth % 20 == 0 else "")
        writer.emit(events.SampleText(id="live", offset=written, text=text))
        written += len(text)
        if tenth % 10 == 0:
            writer.emit(step(1000 + tenth // 10, 100_000, loss=2.0 + (tenth * 7919 % 100) / 200))
        if tenth % 20 == 0:
            writer.emit(events.Hardware(gpus=[], rss_gib=2.0 + tenth % 7 / 10, cpu_percent=90 + tenth % 9, memory_total_gib=24.0))

    with engine_alive(run):
        return _watched(_console(folder, "attach", str(run.path)), each)


def chart_redraw(folder: Path) -> str:
    """The loss curve of 100,000 steps in a pane of 110×25 cells, the median of 20."""
    from tui.fold import RunState, fold_all
    from tui.widgets import chart

    state = fold_all(RunState(), _numbered([*beginning(POINTS), *(step(number, POINTS) for number in range(1, POINTS + 1))]))
    pane = chart.Chart()
    taken = [_cpu_of(lambda: pane._plot(state, 110, 25)) for _ in range(21)]
    return f"{1000 * statistics.median(taken[1:]):.1f} ms CPU"


def attach(folder: Path) -> str:
    """Reading and folding a log of 100,000 events, as attaching does before its first whole picture."""
    from tui.fold import RunState, fold_all
    from tui.follow import Follower

    run = _long_run(folder, EVENTS)
    began = time.perf_counter()
    spent = _cpu_of(lambda: fold_all(RunState(), Follower(run).poll()))
    return f"{spent:.2f} s CPU, {time.perf_counter() - began:.2f} s wall ({run.events.stat().st_size >> 20} MiB)"


def append(folder: Path) -> str:
    """One step event, as the training loop emits it."""
    writer, event, taken = EventWriter(folder / "events.jsonl"), step(1), []
    for _ in range(20_000):
        began = time.perf_counter_ns()
        writer.emit(event)
        taken.append(time.perf_counter_ns() - began)
    taken.sort()
    return f"p50 {taken[len(taken) // 2] / 1000:.1f} µs, p99 {taken[len(taken) * 99 // 100] / 1000:.1f} µs"


ROWS: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
    ("first paint, warm", "≤ 0.6 s", first_paint),
    ("console at rest, 120×40", "0 B/s, 0 % CPU", at_rest),
    ("console on a live run, 120×40", "≤ 3 KB/s, ≤ 3 % CPU", live_run),
    ("chart redraw at 100,000 points", "≤ 15 ms CPU", chart_redraw),
    ("attach to 100,000 events", "≤ 1 s", attach),
    ("event append", "≤ 15 µs p50", append),
)


def _console(folder: Path, *arguments: str) -> Terminal:
    return Terminal(["--lang", "en", "--runs-dir", str(folder), *arguments], folder, 120, 40, **Family().environment)


def _watched(terminal: Terminal, each_tenth: Callable[[int], None]) -> str:
    """Bytes and CPU time a second while `each_tenth` is called ten times a second."""
    terminal.wait_for("Loss")
    for tenth in range(int(10 * SETTLE_S)):
        each_tenth(tenth)
        time.sleep(0.1)
    bytes_before, cpu_before, began = len(terminal.raw), _cpu_s(terminal.process.pid), time.perf_counter()
    for tenth in range(int(10 * SETTLE_S), int(10 * (SETTLE_S + WATCH_S))):
        each_tenth(tenth)
        time.sleep(0.1)
    spent, sent, wall = _cpu_s(terminal.process.pid) - cpu_before, len(terminal.raw) - bytes_before, time.perf_counter() - began
    _end(terminal)
    return f"{sent / wall:.0f} B/s, {100 * spent / wall:.1f} % CPU"


def _long_run(folder: Path, steps: int, *last: events.Event) -> RunDirectory:
    run = make_run(folder, "run", beginning(steps))
    write(run, [*(step(number, steps) for number in range(1, steps + 1)), sample("0-1", 1), *last])
    return run


def _numbered(told: list[events.Event]) -> list[events.Event]:
    import msgspec

    return [msgspec.structs.replace(event, seq=number, time=1e9 + number) for number, event in enumerate(told)]


def _cpu_of(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * TICK_S


def _end(terminal: Terminal) -> None:
    terminal.process.terminate()
    terminal.process.wait()
    terminal.close()


if __name__ == "__main__":
    sys.exit(main())

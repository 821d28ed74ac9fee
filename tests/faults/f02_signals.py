"""F2: KILL, TERM, HUP, INT and STOP to console, launcher, supervisor and engine. The run survives its watchers; nothing is left over."""

import os
import signal

from engine import events
from engine.launch import send
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, first_step, of_type
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.faults.runs import new_run
from tests.patience import ended, wait_until
from tests.terminal import Terminal

TITLE = "KILL/TERM/HUP/INT/STOP to console, launcher, supervisor and engine; processes counted in /proc"
SECONDS = 240
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSTOP)
PARTS = ("console", "launcher", "supervisor", "engine")


def inject(bench: Bench) -> None:
    """Every signal to every part, in an order drawn by the seed."""
    pairs = [(part, number) for part in PARTS for number in SIGNALS]
    for part, number in bench.some(bench.random.sample(pairs, len(pairs)), 6):
        if not bench.in_time():
            bench.note(f"ended by the clock before {part} {number.name}")
            return
        with bench.injection(f"{number.name} to the {part}"), Family() as family:
            run = RunDirectory(bench.folder / f"{part}-{number.name}")
            (_launcher if part == "launcher" else _watched)(bench, family, run, part, number)
            family.nothing_left()


def _watched(bench: Bench, family: Family, run: RunDirectory, part: str, number: signal.Signals) -> None:
    """A talking engine under its supervisor, watched by a console in a terminal."""
    run.path.mkdir()
    run.config.touch()
    supervisor = family.supervised(run, "tests.faults.talker")
    first_step(run, supervisor)
    terminal = Terminal(["--lang", "en", "attach", str(run.path)], bench.folder, 100, 30, **family.environment)
    terminal.wait_for("training")
    engine = run.holder()
    os.kill({"console": terminal.process.pid, "supervisor": supervisor.pid, "engine": engine}[part], number)
    asked_to_stop = part != "console" and number in (signal.SIGTERM, signal.SIGINT)
    if not asked_to_stop and (part != "engine" or number == signal.SIGHUP):
        _goes_on(run)
        if number == signal.SIGSTOP:
            os.kill(terminal.process.pid if part == "console" else supervisor.pid, signal.SIGCONT)
        send(run, "stop")
    elif number == signal.SIGSTOP:  # the engine
        wait_until(lambda: "halted" in terminal.text, "the console to tell of the halt")
        os.kill(engine, signal.SIGCONT)
        _goes_on(run)
        send(run, "stop")
    wait_until(lambda: isinstance(all_events(run)[-1], events.EngineStopped), "the last word")
    last = all_events(run)[-1]
    if part == "engine" and number == signal.SIGKILL:
        assert (last.reason, last.cause) == ("died", "killed"), last
    elif asked_to_stop:
        assert last.reason == "interrupted", last
    if part != "console" or number == signal.SIGSTOP:
        terminal.wait_for("engine died" if last.reason == "died" else last.reason)
        terminal.press("q")
    ended(supervisor, "the supervisor")
    ended(terminal.process, "the console")
    terminal.close()
    _whole(run)


def _launcher(bench: Bench, family: Family, run: RunDirectory, part: str, number: signal.Signals) -> None:
    """`danlu train --plain` of a real engine: what launches a run may go, the run goes on; its ctrl-C is a stop with a checkpoint."""
    made = new_run(bench, f"settings-{number.name}", train={"max_steps": 100_000, "num_epochs": 10_000})
    arguments = ["--lang", "en", "--runs-dir", str(bench.folder), "train", str(_preset(made)), "--name", run.name, "--plain"]
    terminal = Terminal(arguments, bench.folder, 100, 30, **family.environment)
    first_step(run, terminal.process)
    os.kill(terminal.process.pid, number)
    if number == signal.SIGINT:
        ended(terminal.process, "the console")
    else:
        _goes_on(run)
        if number == signal.SIGSTOP:
            os.kill(terminal.process.pid, signal.SIGCONT)
        send(run, "stop")
    wait_until(lambda: not run.is_alive(), "the end")
    ended(terminal.process, "the console")
    terminal.close()
    last = all_events(run)[-1]
    assert last.reason == "stopped" and run.checkpoint(last.step).is_dir(), last
    _whole(run)


def _preset(made: RunDirectory):
    """The resolved configuration as a file to start from."""
    import tomlkit

    tables = tomlkit.parse(made.config.read_text(encoding="utf-8"))
    for name in ("resolved", "run"):
        tables.pop(name, None)
    path = made.path.with_suffix(".toml")
    path.write_text(tomlkit.dumps(tables), encoding="utf-8")
    return path


def _goes_on(run: RunDirectory) -> None:
    seen = len(of_type(run, events.Step))
    wait_until(lambda: len(of_type(run, events.Step)) > seen + 5, "more steps")


def _whole(run: RunDirectory) -> None:
    numbers = [event.seq for event in all_events(run)]
    assert numbers == list(range(len(numbers))), "the numbering has gaps or repeats"

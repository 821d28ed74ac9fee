"""F3: the terminal goes, as when SSH drops, again and again, and another console attaches. No event or command is lost or doubled."""

import itertools
import os
import re
import shutil
import signal
import subprocess

from engine import events
from engine.launch import send
from engine.run_directory import RunDirectory
from tests.engine_runs import Counting, all_events, first_step, of_type
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.patience import ended, wait_until
from tests.terminal import Terminal, settle

TITLE = "terminals that go (closed, console killed, hung up), each time attached from another one, old mouse bytes first; tmux re-attached"
SECONDS = 200
ENDS = ("close", "kill", "hang up")
OLD_MOUSE = b"\x1b[M\xa0\xc9\xff"
MARKS = re.compile(r"mark-(\d{6})")


def inject(bench: Bench) -> None:
    """50 consoles over one run; each must show everything from where the last one went, and its command must be answered once."""
    run, sent = RunDirectory(bench.folder / "run"), 0
    run.path.mkdir()
    run.config.touch()
    with Family() as family:
        supervisor = family.supervised(run, "tests.faults.talker")
        first_step(run, supervisor)
        counting = Counting(run)
        for number in range(bench.count(3, 50)):
            if not bench.in_time():
                bench.note(f"ended by the clock after {number} terminals")
                break
            end = bench.random.choice(ENDS)
            with bench.injection(f"terminal {number}: {end}"):
                _watch_and_lose(bench, family, run, counting, end)
                sent += 1
        if shutil.which("tmux"):
            with bench.injection("tmux detached and attached again"):
                _tmux(bench, family, run)
        send(run, "stop")
        ended(supervisor, "the supervisor")
        family.nothing_left()
    with bench.injection("the whole log"):
        numbers = [event.seq for event in all_events(run)]
        assert numbers == list(range(len(numbers))), "the numbering has gaps or repeats"
        answers = [event.id for event in of_type(run, events.CommandDone) if event.command == "checkpoint"]
        assert len(answers) == len(set(answers)) == sent, f"{sent} commands sent, {len(answers)} answered"
    bench.note(f"{len(numbers)} events")


def _watch_and_lose(bench: Bench, family: Family, run: RunDirectory, counting: Counting, end: str) -> None:
    terminal = Terminal(["--lang", "en", "attach", str(run.path)], bench.folder, 120, 40, **family.environment)
    os.write(terminal._master, OLD_MOUSE)
    try:
        written = counting.of(events.Warning)
        wait_until(lambda: _newest(terminal) >= written or terminal.process.poll() is not None, "the newest event on screen")
        jumps = _jumps(terminal) and _jumps(terminal)
        assert not jumps, f"the log jumps: {jumps}"
        assert "missing" not in terminal.text, "events are said to be missing"
        answered = counting.of(events.CommandDone)
        terminal.press("k")
        wait_until(lambda: counting.of(events.CommandDone) > answered, "the answer to this console's command")
        if end == "kill":
            terminal.process.kill()
        elif end == "hang up":
            terminal.process.send_signal(signal.SIGHUP)
    finally:
        terminal.close()
    ended(terminal.process, "the console")


def _tmux(bench: Bench, family: Family, run: RunDirectory) -> None:
    """A console in tmux loses its client and gets another one of another size; it goes on where it was."""
    import sys

    tmux = ["tmux", "-L", family.mark, "-f", "/dev/null"]
    environment = os.environ | family.environment | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    command = f"exec {sys.executable} -m tui --lang en attach {run.path}"
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "40", command], env=environment, cwd=bench.folder, check=True)
    try:
        screen = lambda: subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, env=environment, check=False).stdout  # noqa: E731
        wait_until(lambda: "training" in screen(), "the console in tmux")
        subprocess.run([*tmux, "resize-window", "-x", "90", "-y", "30"], env=environment, check=True)
        subprocess.run([*tmux, "send-keys", "-H", *[f"{byte:02x}" for byte in OLD_MOUSE]], env=environment, check=True)
        seen = len(of_type(run, events.Step))
        wait_until(lambda: _shown_step(screen()) >= seen + 5, "newer steps on screen")
    finally:
        subprocess.run([*tmux, "kill-server"], env=environment, check=False)


def _marks(terminal: Terminal) -> list[int]:
    return [int(number) for number in MARKS.findall(terminal.text)]


def _jumps(terminal: Terminal) -> list[tuple[int, int]]:
    """Neighbouring marks on the screen that are no neighbours, looked for between two drawings: half of one may show anything."""
    drawn = len(terminal.raw)
    wait_until(lambda: len(terminal.raw) > drawn, "another drawing")
    settle(terminal)
    marks = _marks(terminal)
    return [(one, next) for one, next in itertools.pairwise(marks) if next != one + 1]


def _shown_step(screen: str) -> int:
    found = re.search(r"([\d,]+)/1,000,000", screen)
    return int(found.group(1).replace(",", "")) if found else 0


def _newest(terminal: Terminal) -> int:
    return max(_marks(terminal), default=0)

"""F12: texts that take over terminals, in data, model output, file names, log lines and run names, on every screen and in every command.

Every byte that reaches the pseudo-terminal is held against a whitelist (`tests.whitelist`), and the texts are still there to read.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import SHARED
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.naughty import OWN, corpus, naughty_data, naughty_folders, naughty_run
from tests.patience import LOOK_EVERY_S, Patience, run_to_end, wait_until
from tests.terminal import Terminal, settle
from tests.whitelist import find_foreign

TITLE = "naughty strings on every screen and in every command, bytes of the terminal against a whitelist"
SECONDS = 240
DOWN, LEFT, PAGE_UP, PAGE_DOWN, ESCAPE = "\x1b[B", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b"
NOTHING_S, AT_MOST_S = 0.3, 1.5
"""A key that has drawn nothing after so long changes nothing; when it does after all, it is drawn together with the next."""
SIZES = ((120, 40), (80, 24))


def inject(bench: Bench) -> None:
    """One console a size through all its screens, then every command that prints."""
    strings = corpus(SHARED if SHARED.is_dir() else None)
    strings = [*OWN, *strings[len(OWN) : len(OWN) + 10]] if bench.quick else strings
    data = naughty_data(bench.folder, strings)
    run = naughty_run(bench.folder / "runs", data, strings)
    naughty_folders(bench.folder / "runs", strings)
    with Family() as family:
        for size in SIZES[:1] if bench.quick else SIZES:
            _screens(bench, family, size)
        for arguments in _commands(bench.folder, data, run.path.name):
            with bench.injection(f"danlu {arguments[0]}"):
                _prints(family, bench.folder, arguments)
        with bench.injection("nothing left behind"):
            family.nothing_left()
    bench.note(f"{len(strings)} strings")


def _screens(bench: Bench, family: Family, size: tuple[int, int]) -> None:
    terminal = Terminal(["--lang", "en", "--runs-dir", str(bench.folder / "runs")], bench.folder, *size, **family.environment)
    terminal.wait_for("Runs")
    checked = 0
    for what, visit in _walk(terminal, is_wide=size == SIZES[0]):
        with bench.injection(f"{what} at {size[0]}×{size[1]}"):
            visit()
            assert terminal.process.poll() is None, f"the console ended with {terminal.process.returncode}:\n{terminal.text}"
            end = terminal.raw.rfind(b"\x1b")  # what begins there may not be whole yet
            text = bytes(terminal.raw[checked:end]).decode("utf-8", "replace")
            checked = end
            assert (foreign := find_foreign(text, is_screen=True)) == "", repr(foreign)
    with bench.injection(f"leaving at {size[0]}×{size[1]}"):
        # A document with changes is asked about; escape and q that a busy console reads at once are alt+q, so a user presses again.
        for key in (ESCAPE, "q", "y") * 2:
            if terminal.process.poll() is None:
                _press(terminal, key)
        wait_until(lambda: terminal.process.poll() is not None, "the console to leave")
        assert terminal.process.returncode == 0, terminal.text
        assert (foreign := find_foreign(bytes(terminal.raw[checked:]).decode("utf-8", "replace"), is_screen=True)) == "", repr(foreign)
    terminal.process.kill()
    terminal.close()
    bench.note(f"{len(terminal.raw):,} bytes at {size[0]}×{size[1]}")


def _walk(terminal: Terminal, is_wide: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """Places of the console, and how to get there and through them."""
    sample_view = "vv" if is_wide else "vvv"  # the view of nothing but the sample
    yield "runs", lambda: (_through(terminal, PAGE_DOWN), _press(terminal, "g", DOWN, "m", " ", "m"))
    yield "live screen", lambda: _live(terminal)
    yield "samples", lambda: (_press(terminal, *sample_view), _until(terminal, LEFT, r"· 1 of \d+ "))
    yield "log", lambda: (_press(terminal, "v"), _through(terminal, PAGE_UP))
    yield "curves", lambda: _press(terminal, *"vvcybb")
    yield "help", lambda: _press(terminal, "?", ESCAPE)
    yield "configuration", lambda: (_goes_to(terminal, "3", "5", "o"), _press(terminal, *[DOWN] * 12, "/", *"ath", ESCAPE, ESCAPE))
    yield "configuration as a file", lambda: (_press(terminal, "T"), _through(terminal, PAGE_DOWN), _press(terminal, ESCAPE))
    yield "list of records", lambda: (_goes_to(terminal, "2", "2"), _until(terminal, PAGE_DOWN, _at_record(terminal, r"▸ *{}\b")))
    yield "records", lambda: (_press(terminal, "g", "\r"), _until(terminal, "l", _at_record(terminal, r"Record {}\b")))
    yield "tokens, summary, search", lambda: _press(terminal, ESCAPE, "t", ESCAPE, "s", ESCAPE, "/", *"[/b]", ESCAPE, ESCAPE)
    yield "hardware", lambda: (_goes_to(terminal, "1", "1"), _press(terminal, DOWN))
    yield "palette", lambda: _press(terminal, "\x10", *"uns", ESCAPE)
    yield "deletion, asked and denied", lambda: (_goes_to(terminal, "5", "5"), _press(terminal, "d", "n"))


def _live(terminal: Terminal) -> None:
    _press(terminal, ESCAPE, "g")
    _goes_to(terminal, "4", "\r")
    wait_until(lambda: "[TODO] [red]x[/red]" in terminal.text, "the text unchanged to read")


def _goes_to(terminal: Terminal, tab: str, *keys: str) -> None:
    """Press `keys`, which lead to the screen with that number."""
    _press(terminal, *keys)
    wait_until(lambda: f"▸{tab} " in terminal.text or terminal.process.poll() is not None, f"screen {tab}:\n{terminal.text}")


def _press(terminal: Terminal, *keys: str) -> None:
    """One key after another, each drawn before the next."""
    for key in keys:
        drawn, patience, end = len(terminal.raw), Patience(NOTHING_S), time.monotonic() + AT_MOST_S
        terminal.press(key)
        while len(terminal.raw) == drawn and not patience.is_over() and time.monotonic() < end:
            time.sleep(LOOK_EVERY_S)
        settle(terminal, looks=2)


def _until(terminal: Terminal, key: str, at_end: str) -> None:
    """Press `key` until the screen matches `at_end`."""
    patience = Patience()
    while not re.search(at_end, terminal.text):
        assert not patience.is_over(), f"never came to {at_end}:\n{terminal.text}"
        _press(terminal, key)


def _through(terminal: Terminal, key: str) -> None:
    """Press `key` until that changes nothing any more."""
    unchanged = 0
    while unchanged < 2:
        before = terminal.text
        _press(terminal, key)
        unchanged = unchanged + 1 if terminal.text == before else 0


def _at_record(terminal: Terminal, pattern: str) -> str:
    """`pattern` with the number of the last record of the file on screen, once that has been read to its end."""
    wait_until(lambda: re.search(r"[\d,]+ records", terminal.text), "the records to be read")
    return pattern.format(re.search(r"([\d,]+) records", terminal.text).group(1))


def _commands(folder: Path, data: Path, name: str) -> list[list[str]]:
    runs, odd = ["--runs-dir", str(folder / "runs")], "no \x1b]52;c;QQ==\x07 \u202e such"
    (folder / "naughty.toml").write_text('"\\u001b]52;c;QQ==\\u0007" = 1\n', encoding="utf-8")
    return [
        ["runs", *runs], ["runs", "--json", *runs],
        ["attach", name, "--plain", *runs], ["logs", name, *runs], ["logs", name, "--engine", *runs],
        ["inspect", str(data)], ["inspect", str(data), "--json"], ["split", str(data), "--out", str(folder / "split")],
        ["terms", str(data)], ["terms", "--json", "SM4 \x1b]52;c;QQ==\x07 \u202e \x9b31m"], ["plan", str(folder / "naughty.toml")],
        ["train", odd], ["attach", odd, *runs], ["stop", name, *runs], ["resume", name, *runs], [odd], ["runs", f"--{odd}"],
    ]  # fmt: skip


def _prints(family: Family, folder: Path, arguments: list[str]) -> None:
    """stdout and stderr of a command without a terminal: harmless characters and line ends only."""
    environment = os.environ | family.environment | {"LC_ALL": "C.UTF-8"}
    ran = run_to_end([sys.executable, "-m", "tui", "--lang", "en", *arguments], cwd=folder, env=environment)
    assert ran.stdout or ran.stderr, f"said nothing (exit code {ran.returncode})"
    for output in (ran.stdout, ran.stderr):
        assert (foreign := find_foreign(output.decode("utf-8"))) == "", repr(foreign)
    assert b"Traceback" not in ran.stderr

"""F12: texts that take over terminals, in data, model output, file names, log lines and run names, on every screen and in every command.

Every byte that reaches the pseudo-terminal is held against a whitelist (`tests.whitelist`), and the texts are still there to read.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import SHARED
from tests.engine_runs import wait_until
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.naughty import OWN, corpus, naughty_data, naughty_run
from tests.terminal import Terminal
from tests.whitelist import find_foreign

TITLE = "naughty strings on every screen and in every command, bytes of the terminal against a whitelist"
SECONDS = 240
DOWN, LEFT, PAGE_UP, PAGE_DOWN, ESCAPE = "\x1b[B", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b"
QUIET_LOOKS = 8
"""Looks without a new byte, 0.02 s apart, after which a key's effect is taken as drawn."""
ESCAPE_LOOKS = 30
"""What follows an escape too soon is taken for one key with it."""


def inject(bench: Bench) -> None:
    """One console through all its screens, then every command that prints."""
    strings = corpus(SHARED if SHARED.is_dir() else None)
    strings = [*OWN, *strings[len(OWN) : len(OWN) + 10]] if bench.quick else strings
    data = naughty_data(bench.folder, strings)
    run = naughty_run(bench.folder / "runs", data, strings)
    with Family() as family:
        for size in ((120, 40),) if bench.quick else ((120, 40), (80, 24)):
            _screens(bench, family, len(strings), size)
        for arguments in _commands(bench.folder, data, run.path.name):
            with bench.injection(f"danlu {arguments[0]}"):
                _prints(family, bench.folder, arguments)
        with bench.injection("nothing left behind"):
            family.nothing_left()
    bench.note(f"{len(strings)} strings")


def _screens(bench: Bench, family: Family, count: int, size: tuple[int, int]) -> None:
    terminal = Terminal(["--lang", "en", "--runs-dir", str(bench.folder / "runs")], bench.folder, *size, **family.environment)
    terminal.wait_for("Runs")
    checked = 0
    for what, tab, keys in _walk(count, bench.quick):
        with bench.injection(f"{what} at {size[0]}×{size[1]}"):
            for key in keys:
                terminal.press(key)
                _settle(terminal, ESCAPE_LOOKS if key == ESCAPE else QUIET_LOOKS)
                if key in "\r1234o":
                    wait_until(lambda tab=tab: f"▸{tab} " in terminal.text or terminal.process.poll() is not None, what)
                assert terminal.process.poll() is None, f"the console ended with {terminal.process.returncode}:\n{terminal.text}"
            text = bytes(terminal.raw[checked:]).decode("utf-8", "replace")
            checked = len(terminal.raw)
            assert (foreign := find_foreign(text, is_screen=True)) == "", repr(foreign)
            if what == "live screen" and size[0] == 120:
                wait_until(lambda: "[TODO] [red]x[/red]" in terminal.text, "the text unchanged to read")
    with bench.injection(f"leaving at {size[0]}×{size[1]}"):
        for key in (ESCAPE, "q", "y"):  # a document with changes is asked about
            if terminal.process.poll() is None:
                terminal.press(key)
                _settle(terminal, ESCAPE_LOOKS)
        wait_until(lambda: terminal.process.poll() is not None, "the console to leave")
        assert terminal.process.returncode == 0, terminal.text
    terminal.process.kill()
    terminal.close()
    bench.note(f"{len(terminal.raw):,} bytes at {size[0]}×{size[1]}")


def _walk(count: int, quick: bool) -> Iterator[tuple[str, str, list[str]]]:
    """Places of the console, the number of their screen, and the keys that lead there and through it, one after another."""
    some = min(count, 6 if quick else 200)
    yield "runs", "5", [DOWN, "m", " ", "m"]
    yield "live screen", "4", ["\r", *[LEFT] * (some - 1), *["l"] * min(some, 3)]
    yield "live screen's other views", "4", ["v", *[PAGE_UP] * (some // 2), "v", *[PAGE_UP] * (some // 2), "v", "v"]
    yield "live screen's curves", "4", ["c", "y", "b", "b"]
    yield "help", "4", ["?", ESCAPE]
    yield "configuration", "3", ["5", "o", *[DOWN] * 12, "/", *"ath", ESCAPE, ESCAPE]
    yield "data", "2", ["2", *[DOWN] * some, PAGE_DOWN, "t", ESCAPE, "s", ESCAPE, "/", *"[/b]", ESCAPE, ESCAPE]
    yield "hardware", "1", ["1", DOWN]
    yield "palette", "1", ["\x10", *"uns", ESCAPE]
    yield "deletion, asked and denied", "5", ["5", "d", "n"]


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
    ran = subprocess.run(
        [sys.executable, "-m", "tui", "--lang", "en", *arguments], cwd=folder, env=os.environ | family.environment | {"LC_ALL": "C.UTF-8"},
        capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert ran.stdout or ran.stderr, f"said nothing (exit code {ran.returncode})"
    for output in (ran.stdout, ran.stderr):
        assert (foreign := find_foreign(output.decode("utf-8"))) == "", repr(foreign)
    assert b"Traceback" not in ran.stderr


def _settle(terminal: Terminal, looks: int = QUIET_LOOKS) -> None:
    """Until the console has drawn what the key asked for."""
    seen, quiet = len(terminal.raw), 0

    def is_quiet() -> bool:
        nonlocal seen, quiet
        seen, quiet = len(terminal.raw), quiet + 1 if len(terminal.raw) == seen else 0
        return quiet > looks or terminal.process.poll() is not None

    wait_until(is_quiet, "the screen to settle")

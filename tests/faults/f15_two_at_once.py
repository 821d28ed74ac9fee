"""F15: two engines on one run directory, two consoles, a lock that names somebody else's process, a read-only folder, any umask."""

import json
import os
import shutil
import subprocess
import sys

from engine import events
from engine.launch import send
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events, first_step, losses, of_type
from tests.faults.bench import Bench, NotHere
from tests.faults.family import Family
from tests.faults.runs import new_run
from tests.patience import ended, wait_until
from tests.terminal import Terminal

TITLE = "two starts on one run directory, two consoles, PID reuse, read-only folder, umask 077 and 022"
SECONDS = 120
LONG = {"max_steps": 100_000, "num_epochs": 10_000}


def inject(bench: Bench) -> None:
    """Each in a run of its own."""
    with bench.injection("two engines at once"), Family() as family:
        _two_engines(bench, family)
        family.nothing_left()
    with bench.injection("two consoles"), Family() as family:
        _two_consoles(bench, family)
        family.nothing_left()
    with bench.injection("a stranger has the engine's number"), Family() as family:
        _stranger(bench, family)
        family.nothing_left()
    for umask in bench.some((0o077, 0o022, 0o000), 1):
        with bench.injection(f"umask {umask:03o}"), Family() as family:
            _umask(bench, family, umask)
            family.nothing_left()
    with bench.injection("read-only folder"), Family() as family:
        _read_only(bench, family)
        family.nothing_left()


def _two_engines(bench: Bench, family: Family) -> None:
    run = new_run(bench, "twice", train=LONG)
    both = [family.supervised(run, "engine") for _ in range(2)]
    wait_until(lambda: any(one.poll() is not None for one in both) and losses(run), "one to be refused, the other to train")
    refused = next(one for one in both if one.poll() is not None)
    assert refused.returncode == 2, refused.returncode
    assert "already running" in run.engine_log.read_text()
    assert len(of_type(run, events.EngineStarted)) == 1
    send(run, "stop")
    assert ended(next(one for one in both if one is not refused), "the engine") == 3
    numbers = [event.seq for event in all_events(run)]
    assert numbers == list(range(len(numbers)))


def _two_consoles(bench: Bench, family: Family) -> None:
    """Both see the answer to either's command, and each command is answered once."""
    run = RunDirectory(bench.folder / "watched")
    run.path.mkdir()
    run.config.touch()
    supervisor = family.supervised(run, "tests.faults.talker")
    first_step(run, supervisor)
    consoles = [Terminal(["--lang", "en", "attach", str(run.path)], bench.folder, 110, 32, **family.environment) for _ in range(2)]
    for console in consoles:
        console.wait_for("training")
    for console in consoles:
        console.press("k")
    for console in consoles:
        console.wait_for("checkpoint: done")
    consoles[0].press("x")
    consoles[0].wait_for("Stop the run?")
    consoles[0].press("y")
    for console in consoles:
        console.wait_for("Stopped on command")
        console.press("q")
        ended(console.process, "the console")
        console.close()
    ended(supervisor, "the supervisor")
    answers = [event.command for event in of_type(run, events.CommandDone)]
    assert answers == ["checkpoint", "checkpoint", "stop"], answers


def _stranger(bench: Bench, family: Family) -> None:
    run = new_run(bench, "reused", train={"max_steps": 3})
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        run.lock.write_text(json.dumps({"pid": stranger.pid, "time": 0}))
        assert not run.is_alive()
        assert ended(family.supervised(run, "engine"), "the engine") == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def _umask(bench: Bench, family: Family, umask: int) -> None:
    """Whatever the user's umask, nobody else reads a run, and the run itself is not kept from its own files."""
    before = os.umask(umask)
    try:
        run = new_run(bench, f"umask-{umask:03o}", train={"max_steps": 2})
        run.path.chmod(0o700)
        assert ended(family.supervised(run, "engine"), "the engine") == 0
    finally:
        os.umask(before)
    for path in (run.events, run.lock, run.engine_log):
        assert path.stat().st_mode & 0o077 & ~umask == 0 or path == run.engine_log, f"{path.name}: {path.stat().st_mode:o}"
    assert run.path.stat().st_mode & 0o777 == 0o700


def _read_only(bench: Bench, family: Family) -> None:
    """One message with its cure, no traceback, as a user to whom permissions apply."""
    obeying: list[str] = []
    if os.geteuid() == 0:  # root writes everywhere, unless it gives that up
        if not shutil.which("setpriv"):
            raise NotHere("run as root, and setpriv is not here")
        obeying = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    run = new_run(bench, "read-only", train={"max_steps": 2})
    run.path.chmod(0o555)
    command = [*obeying, sys.executable, "-m", "engine", str(run.path)]
    ended = subprocess.run(command, env=os.environ | family.environment, capture_output=True, text=True, check=False)
    run.path.chmod(0o700)
    assert ended.returncode == 1 and "must be writable" in ended.stderr, (ended.returncode, ended.stderr[-500:])
    assert "Traceback" not in ended.stderr

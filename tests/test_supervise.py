"""The engine's supervisor: the last word of an engine that could not say it, and signals that count once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events
from engine.launch import PROJECT
from engine.processes import end_engine, state_of
from engine.run_directory import RunDirectory
from tests.engine_runs import all_events
from tests.patience import ended, wait_until

BEGIN = (
    "import os, signal, sys, time; from pathlib import Path; from engine import events; from engine.queue import EventWriter; "
    "from engine.run_directory import RunDirectory, RunLock; run = RunDirectory(Path(sys.argv[1])); lock = RunLock(run); "
    "w = EventWriter(run.events); w.emit(events.EngineStarted(start_id='1', pid=os.getpid(), versions={}));\n"
)
"""An engine as far as the supervisor sees it: lock, first event; then what the test appends."""
SUPERVISE = (
    "import sys; from engine.supervise import main; run, do = sys.argv[1:]; sys.exit(main([run], [sys.executable, '-c', do, run]))"
)


def supervise(run: RunDirectory, program: str) -> subprocess.Popen:
    with open(run.engine_log, "ab") as log:
        command = [sys.executable, "-c", SUPERVISE, str(run.path), BEGIN + program]
        return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.parametrize(
    ("program", "code", "cause"),
    [
        ("import faulthandler, ctypes; faulthandler.enable(); ctypes.string_at(0)", 139, "crash"),
        ("os.abort()", 134, "crash"),
        ("os._exit(7)", 7, "exit"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed"),
    ],
)
def test_an_end_without_a_word_gets_one(run_dir, program, code, cause):
    """The last event names the cause; the supervisor's exit code is the shell's for it; engine.log keeps what was written."""
    supervisor = supervise(run_dir, "print('kept', flush=True)\n" + program)

    assert ended(supervisor, "the supervisor") == code
    last = all_events(run_dir)[-1]
    assert isinstance(last, events.EngineStopped)
    assert (last.reason, last.cause, last.exit_code, last.seq) == ("died", cause, code, 1)
    assert "kept" in run_dir.engine_log.read_text()
    assert "engine stopped: died" in run_dir.training_log.read_text()
    assert not run_dir.is_alive()


def test_an_engine_that_said_its_last_word_is_left_alone(run_dir):
    """Nothing is added behind it."""
    program = "w.emit(events.EngineStopped(reason='stopped', exit_code=3)); w.close(); os._exit(3)"

    assert ended(supervise(run_dir, program), "the engine") == 3
    assert [type(event) for event in all_events(run_dir)] == [events.EngineStarted, events.EngineStopped]


def test_an_engine_that_never_began_leaves_no_event(run_dir):
    """Who launched it shows its output; a run that was there before keeps its state."""
    command = [sys.executable, "-c", SUPERVISE, str(run_dir.path), "raise SystemExit(5)"]

    assert subprocess.run(command, cwd=PROJECT, check=False).returncode == 5
    assert not run_dir.events.exists()


def test_a_signal_to_the_whole_group_asks_the_engine_once(run_dir):
    """A service manager signals every process; each way in counts by itself, so that one stop is not two."""
    program = (
        "from engine.control import Control; c = Control(run); c.install_signals()\n"
        "w.emit(events.Phase(name='train'))\n"
        "while not c.signalled: time.sleep(0.01)\n"
        "time.sleep(0.5); w.emit(events.EngineStopped(reason='interrupted', exit_code=130)); os._exit(130)"
    )
    supervisor = supervise(run_dir, program)
    wait_until(lambda: len(all_events(run_dir)) == 2, "the engine")
    for pid in (supervisor.pid, run_dir.holder()):
        os.kill(pid, signal.SIGTERM)

    assert ended(supervisor, "the supervisor") == 130
    assert all_events(run_dir)[-1].reason == "interrupted"


def test_the_engine_outlives_its_supervisor(run_dir):
    """Killing what only watches must not cost the run; the engine goes on to its end."""
    go_on = run_dir.path / "go-on"
    program = f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)\nw.emit(events.EngineStopped(reason='finished', exit_code=0))"
    supervisor = supervise(run_dir, program)
    wait_until(lambda: all_events(run_dir), "the engine")
    supervisor.kill()
    supervisor.wait()
    assert run_dir.is_alive()
    go_on.touch()
    wait_until(lambda: not run_dir.is_alive(), "the engine's end")

    assert all_events(run_dir)[-1].reason == "finished"


def test_an_engine_that_hangs_is_ended_and_its_end_told(run_dir):
    """Halted and deaf to signals: `danlu stop --now` wakes it, asks twice, then kills; the supervisor says that it was killed."""
    program = "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 10, 12, 15)]; w.emit(events.Phase(name='load')); time.sleep(600)"
    supervisor = supervise(run_dir, program)
    wait_until(lambda: len(all_events(run_dir)) == 2, "the engine")
    pid = run_dir.holder()
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T", "the halt")

    assert end_engine(run_dir, grace_s=0.2)
    ended(supervisor, "the supervisor")
    assert state_of(pid) == "" and all_events(run_dir)[-1].cause == "killed"


def test_a_stranger_with_the_engines_number_is_never_touched(run_dir):
    """A lock file left by a dead engine names a process that is someone else's now."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run_dir.lock.write_text(json.dumps({"pid": stranger.pid, "time": 0}))

    assert not run_dir.is_alive()
    assert not end_engine(run_dir)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_the_supervisor_stays_small(run_dir):
    """It lives as long as the run: no torch, no textual, hardly any memory."""
    supervisor = supervise(run_dir, "time.sleep(600)")
    wait_until(lambda: all_events(run_dir), "the engine")
    pages = int(Path(f"/proc/{supervisor.pid}/statm").read_text().split()[1])
    end_engine(run_dir, grace_s=0)
    ended(supervisor, "the supervisor")

    assert pages * os.sysconf("SC_PAGESIZE") < 40 << 20

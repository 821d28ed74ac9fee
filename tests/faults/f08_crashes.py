"""F8: the engine crashes in native code, leaves with a bare exit, is killed, or meets the host's memory limit. The cause is named."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engine import events
from engine.engine_log import last_lines
from tests.engine_runs import all_events, of_type
from tests.faults.bench import Bench
from tests.faults.family import Family
from tests.faults.memory_group import MemoryGroup
from tests.faults.runs import new_run
from tests.patience import ended

TITLE = "segfault, abort, bus error, exit(7), SIGKILL, memory limit, the kernel's kill for memory: cause named, output kept, resumed"
SECONDS = 120
ALONE = True
"""The kernel counts its kills for memory for a whole group of processes, and an engine killed meanwhile would be told as one of them."""
EXPECTED = {
    "segfault": ("died", "crash", 139, "SIGSEGV"),
    "abort": ("died", "crash", 134, "SIGABRT"),
    "bus": ("died", "crash", 135, "SIGBUS"),
    "exit": ("died", "exit", 7, "exit code 7"),
    "kill": ("died", "killed", 137, "SIGKILL"),
    "memory": ("failed", "", 1, "emory"),
    "host": ("died", "host_memory", 137, "the host ran out of memory and its kernel killed the engine"),
}
HOST_BYTES = 3 << 29
"""What a tiny run needs, and half a gigabyte for the fault to fill."""
LAST_LINE = "the last line before the fault"


def inject(bench: Bench) -> None:
    """Each end in the third step of a real run."""
    for name in bench.some([name for name in EXPECTED if name != "host"], 2):
        with bench.injection(name), Family() as family:
            _crash(bench, family, name)
            family.nothing_left()
    with bench.injection("the kernel kills it for memory"), Family() as family, MemoryGroup(HOST_BYTES) as group:
        _crash(bench, family, "host", group.join)
        assert group.kills() == 1, "not the kernel's doing"
        family.nothing_left()


def _crash(bench: Bench, family: Family, name: str, before: Callable[[], None] | None = None) -> None:
    reason, cause, code, says = EXPECTED[name]
    run = new_run(bench, name, train={"max_steps": 8})
    left = ended(family.supervised(run, "tests.faults.faulty_engine", f"crash:{name}", before=before), "the engine")
    last = all_events(run)[-1]
    assert left == code, f"exit code {left}"
    assert isinstance(last, events.EngineStopped) and (last.reason, last.cause, last.exit_code) == (reason, cause, code), last
    assert says in last.error, last.error
    assert any(LAST_LINE in line for line in last_lines(run, 60)), "what it wrote is gone"
    told = _attach(run.path, family)
    assert says in told and LAST_LINE in told if reason == "died" else says in told, told
    assert ended(family.supervised(run, "engine"), "the engine") == 0, "resume"
    assert of_type(run, events.EngineStarted)[-1].resumed_step >= 2
    shutil.rmtree(run.path)


def _attach(path: Path, family: Family) -> str:
    """What `danlu attach --plain` tells of a dead run."""
    import os

    command = [sys.executable, "-m", "tui", "--lang", "en", "attach", str(path), "--plain"]
    environment = os.environ | family.environment
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL).stderr

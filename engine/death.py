"""Why an engine ended without a last word: from how its process ended, the host's memory kills, and its raw output.

Only finds words; who asks (`engine.supervise`, or a console for a run whose supervisor died too) does with them what it likes.
"""

import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import engine_log, host

CRASHES = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS"}
FATAL = re.compile(rf"{engine_log.FATAL}(.+)")
CULPRIT = ("Current thread", "Thread")
"""How it heads the stack of the thread that crashed, which comes behind those of all others; and any, where it names none."""
FRAME = re.compile(r'File "(.+?)", line (\d+) in (\S+)')


@dataclass(frozen=True)
class Cause:
    """code: host_memory, killed, signal, crash, exit, restart or unknown; consoles translate it.  text: one sentence with its cure."""

    code: str
    text: str


def cause_of(status: int, memory_kills: int, last_output: Sequence[str]) -> Cause:
    """status: as `subprocess` gives it, negative for a signal.  memory_kills: since the engine began.  last_output: of engine.log."""
    if status >= 0:
        return Cause("exit", f"the engine's process left with exit code {status} without a last word; the end of engine.log may say why")
    name = _signal_name(-status)
    if name in CRASHES:
        return _crash(name, last_output)
    if name == "SIGKILL" and memory_kills > 0:
        return Cause(
            "host_memory",
            "the host ran out of memory and its kernel killed the engine; lower data.max_seq_length or train.batch_size, end what else "
            "takes memory, then resume",
        )
    if name == "SIGKILL":
        return Cause("killed", "killed from outside (SIGKILL: a person, a job scheduler or a container's end); resume goes on")
    return Cause("signal", f"ended by {name} from outside; resume goes on")


def guess(last_output: Sequence[str], last_time: float) -> Cause:
    """The same where nobody waited for the process. last_time: Unix seconds of its last event."""
    if last_time and last_time < _boot_time():
        return Cause("restart", "the machine was restarted while the engine ran; resume goes on")
    if any(FATAL.search(line) for line in last_output):
        return _crash("", last_output)
    return Cause("unknown", "the engine and the process that watched it ended without a word; the end of engine.log may say why")


def memory_kills(cgroups: Path = host.CGROUPS, membership: Path = Path("/proc/self/cgroup"), kernel: Path = Path("/proc/vmstat")) -> int:
    """Processes killed for memory so far: in this process's own cgroup, else on the whole machine; 0 where nobody counts."""
    for folder in host.cgroup_folders(cgroups, membership, "memory"):
        for name in ("memory.events", "memory.oom_control"):
            if (count := _count(folder / name)) is not None:
                return count
    return _count(kernel) or 0


def _crash(name: str, last_output: Sequence[str]) -> Cause:
    """What crashed and where, as faulthandler tells."""
    fatal = next((found.group(1) for line in reversed(last_output) if (found := FATAL.search(line))), "")
    place = next((found for line in _stack(last_output) if (found := FRAME.search(line))), None)
    what = " ".join(part for part in (name, f"({fatal})" if fatal and name else fatal) if part) or "a signal"
    where = f" in {place.group(3)} ({Path(place.group(1)).name}:{place.group(2)})" if place else ""
    cure = "the stack is in engine.log. Resume goes on; if it crashes again: danlu doctor"
    return Cause("crash", f"the engine crashed in native code: {what}{where}; {cure}")


def _stack(last_output: Sequence[str]) -> Sequence[str]:
    """From the stack of the thread that crashed on."""
    heads = (number for head in CULPRIT for number, line in enumerate(last_output) if line.startswith(head))
    return last_output[next(heads, 0) :]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _count(path: Path) -> int | None:
    """The number behind `oom_kill` in a file of names and numbers."""
    for line in host.read_text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return None


def _boot_time() -> float:
    """Unix seconds of the machine's start, 0 where that is not told."""
    uptime = host.read_text(Path("/proc/uptime")).partition(" ")[0]
    try:
        return time.time() - float(uptime)
    except ValueError:
        return 0.0

"""A run of several processes: starts torchrun, watches its ranks, ends all of them when one fails, and says why it ended.

Holds the run's lock and listens to signals while the first rank writes the events; only when every rank is gone is its word the
last one. One machine opens no port: the ranks meet in a file, and talk over loopback. No torch here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from engine import events, torchrun
from engine.control import Control
from engine.death import cause_of, memory_kills
from engine.host import read_cpu
from engine.kinship import adopt_orphans, descendants, end_descendants
from engine.placement import Placement
from engine.pulse import LastWord, read_beats, read_last_words
from engine.rank_place import FOLDER, LAUNCHER, STRATEGY
from engine.rank_watch import PATIENCE_S, find_dead, find_silent
from engine.run_directory import RunDirectory

FOLDER_STEM = "danlu-ranks-"
LOOK_EVERY_S = 0.1
GRACE_S = 1.0
"""Ranks whose peer has gone fail by themselves within moments; what is left after it is killed."""
GIVEN_BACK_BYTES = 1 << 20
"""Blocks that glibc gives back to the system as soon as they are freed, where weights are gathered on a CPU: in the heap, each gathered
layer would leave holes that nothing else fits, three times all weights within a few steps (docs/log.md)."""
LEAVE_PATIENCE_S = 60.0
"""Once one rank has left in order, the others have so long to follow."""


def run_ranks(run: RunDirectory, placement: Placement, control: Control, patience_s: float = PATIENCE_S) -> events.EngineStopped:
    """Run to the end and return the last event, with every process that was started gone. Raises StopNow on a second signal."""
    adopt_orphans()
    spared = descendants()
    kills_before = memory_kills()
    folder = _own_folder()
    agent = _start(run, placement, folder)
    try:
        silent, gone = _watch(agent, placement, folder, control, patience_s)
        _end(agent, folder)
        end_descendants(spared)
        return _verdict(run, placement, folder, silent, gone, memory_kills() - kills_before)
    finally:
        end_descendants(spared)
        shutil.rmtree(folder, ignore_errors=True)


def _own_folder() -> Path:
    """A folder for the pulses of this run, on this machine's own disk; those of launchers that were killed go."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER_STEM}*"):
        owner = left.name.removeprefix(FOLDER_STEM).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER_STEM}{os.getpid()}-"))


def torchrun_arguments(placement: Placement, meeting: Path) -> list[str]:
    """What torchrun is given before the program: a meeting file on one machine, an address for several."""
    common = ["--nnodes", str(placement.num_nodes), "--nproc-per-node", str(placement.processes), "--max-restarts", "0"]
    if placement.num_nodes == 1:
        return [*common, "--rdzv-backend", "c10d", "--rdzv-endpoint", str(meeting), "--rdzv-conf", "store_type=file",
                "--rdzv-id", "danlu", "--local-addr", "127.0.0.1"]  # fmt: skip
    return [*common, "--node-rank", str(placement.node_rank), "--master-addr", placement.host, "--master-port", str(placement.port)]


def _start(run: RunDirectory, placement: Placement, folder: Path) -> subprocess.Popen:
    """torchrun as a child that dies with this process. It inherits stdout and stderr, which are engine.log."""
    command = [sys.executable, "-m", "engine.torchrun", str(folder), *torchrun_arguments(placement, folder / "rendezvous")]
    return subprocess.Popen(
        [*command, "-m", "engine", str(run.path.resolve())], env=_environment(placement, folder), start_new_session=True
    )


def _environment(placement: Placement, folder: Path) -> dict[str, str]:
    threads = max(1, int(read_cpu().threads) // placement.processes)
    environment = {"OMP_NUM_THREADS": str(threads)} | os.environ
    environment |= {FOLDER: str(folder), STRATEGY: placement.strategy, LAUNCHER: str(os.getpid())}
    if placement.strategy == "fsdp2" and not placement.gpus:
        environment = {"MALLOC_MMAP_THRESHOLD_": str(GIVEN_BACK_BYTES)} | environment
    if placement.num_nodes == 1:
        # Nobody authenticates a rank, so on one machine nothing may be reached from outside: no store on a port, talk on loopback.
        environment |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return environment


def _watch(agent: subprocess.Popen, placement: Placement, folder: Path, control: Control, patience_s: float) -> tuple[str, str]:
    """Wait until torchrun or a rank has ended or one hangs; pass a stop on to the first rank.

    Returns who hangs and who is gone, in words, "" for nobody.
    """
    first = placement.node_rank * placement.processes
    ranks = range(first, first + placement.processes)
    has_passed_on, warned = False, ""
    while agent.poll() is None:
        time.sleep(LOOK_EVERY_S)
        beats, words = read_beats(folder), read_last_words(folder)
        spoken = [word.rank for word in words]
        if control.signalled and not has_passed_on:
            has_passed_on = _pass_on(beats[0].pid if beats and beats[0].rank == 0 else None)
        silent = find_silent([beat for beat in beats if beat.rank not in spoken], ranks, time.monotonic(), patience_s)
        if silent is not None and silent.partition(" has")[0] == warned:
            return silent, ""
        warned = silent.partition(" has")[0] if silent else ""  # a beat may have been read while it was written: look twice
        if any(word.reason == "failed" for word in words):
            return "", ""
        dead = find_dead(beats, spoken)
        if dead and dead.rank not in [word.rank for word in read_last_words(folder)]:  # which it may have said since they were read
            return "", _gone(dead.rank, dead.pid)
        if words and time.time() - words[0].time > LEAVE_PATIENCE_S:
            return f"rank {next((rank for rank in ranks if rank not in spoken), 0)} did not leave with the others", ""
    return "", ""


def _pass_on(pid: int | None) -> bool:
    """Ask the first rank to stop, once it is there."""
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    return True


def _end(agent: subprocess.Popen, folder: Path) -> None:
    """Give the ranks a moment to say their last words, kill what is left, and let torchrun write down how its workers ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        agent.wait(GRACE_S)
    for beat in read_beats(folder):
        if agent.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(beat.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        agent.wait(GRACE_S)


def _verdict(run: RunDirectory, placement: Placement, folder: Path, silent: str, gone: str, kills: int) -> events.EngineStopped:
    """Why it ended: who hung, who failed first by its own fault, who died without a word; else what the first rank said."""
    words, beats = read_last_words(folder), read_beats(folder)
    step = max([beat.step for beat in beats] + [word.step for word in words], default=0)
    own_fault = [word for word in words if word.reason == "failed" and not word.is_consequence]
    if own_fault:
        prefix = "" if own_fault[0].rank == 0 else f"rank {own_fault[0].rank}: "
        return _failed(prefix + own_fault[0].error.removeprefix(prefix), step, own_fault[0].exit_code)
    if silent:
        return _failed(f"{silent}; all ranks were ended. What they did last is in {run.engine_log}; resume goes on", step)
    spoken = [word.rank for word in words]
    if dead := next((failure for failure in torchrun.read_failures(folder) if failure.rank not in spoken), None):
        cause = cause_of(dead.exit_code, kills, _last_output(run.engine_log))
        return _failed(f"{_gone(dead.rank, dead.pid)}: {cause.text}", step)
    if gone:
        return _failed(f"{gone}; all ranks were ended. What they did last is in {run.engine_log}; resume goes on", step)
    if beats and not words:
        return _failed("torchrun was killed while its ranks were at work, which ends them; resume goes on", step)
    if not words or any(word.reason == "failed" for word in words):
        return _failed(_without_a_word(placement, words, run), step)
    word = min(words, key=lambda word: word.rank)
    return events.EngineStopped(reason=word.reason, exit_code=word.exit_code, step=word.step, error=word.error)


def _gone(rank: int, pid: int) -> str:
    return f"rank {rank} (process {pid}) is gone without a word"


def _without_a_word(placement: Placement, words: Sequence[LastWord], run: RunDirectory) -> str:
    if words and placement.num_nodes > 1:
        return f"a rank on another machine has gone ({words[0].error}); its own log says why. Resume on all machines goes on"
    if words:
        return words[0].error
    tail = " | ".join(line for line in _last_output(run.engine_log) if "Error" in line)[-300:]
    return f"torchrun ended before any rank had begun: {tail or 'without a word'}; the whole output is in {run.engine_log}"


def _last_output(path: Path) -> list[str]:
    """The lines of its last 16 KB."""
    if not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (16 << 10)))
        return file.read().decode("utf-8", "replace").splitlines()


def _failed(error: str, step: int, exit_code: int = 1) -> events.EngineStopped:
    return events.EngineStopped(reason="failed", exit_code=exit_code or 1, step=step, error=error)

"""`python -m engine.supervise RUN_DIR`: starts the engine, waits for it, and writes the last event where the engine could not.

A crash in native code, a kill or a bare exit leave no word of their own; only the parent learns how a process ended. It also takes
secrets out of engine.log that native code wrote there. It stays small (no torch, hardly any imports) and is never in the way: when it is
killed itself, the engine goes on without it.
Not here: where the output goes and what outlives the terminal (`engine.launch`), what ends mean (`engine.death`).
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.log_redaction import LogRedaction
from engine.run_directory import RunDirectory

FORWARDED = (signal.SIGTERM, signal.SIGINT)
ASKED_TO_STOP = signal.SIGUSR1
"""How the engine hears of them: a service manager signals every process of a group, and one stop must not count as two."""


def main(arguments: list[str], command: Sequence[str] = ()) -> int:
    """Run the engine of a run directory to its end; return its exit code, 128 + N for signal N.

    command: what to start instead of `python -m engine`, for a launcher of several processes.
    """
    run = RunDirectory(Path(arguments[0]))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    said_before = _size(run.events)
    # A group of its own: what is sent to ours comes to the engine once, through us.
    command = command or [sys.executable, "-m", "engine", arguments[0]]
    engine = os.posix_spawn(command[0], list(command), os.environ, setpgroup=0)
    for number in FORWARDED:
        signal.signal(number, lambda *_: os.kill(engine, ASKED_TO_STOP))
    log = LogRedaction(run.engine_log)
    kills = _memory_kills()
    _, wait_status = os.waitpid(engine, 0)
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)  # its number may now be another process's
    status = os.waitstatus_to_exitcode(wait_status)
    log.finish()
    if _size(run.events) > said_before:  # else it ended before it began, and who launched it says so
        _write_last_word(run, status, _memory_kills() - kills)
    return status if status >= 0 else 128 - status


def _write_last_word(run: RunDirectory, status: int, kills: int) -> None:
    """Append `engine_stopped` with the cause, unless the engine said it or another one is at work already."""
    from data.errors import DanluError
    from engine import events
    from engine.death import cause_of
    from engine.engine_log import EXPLAINING, last_lines
    from engine.queue import EventWriter, last_event
    from engine.run_directory import RunLock
    from engine.training_log import TrainingLog

    if isinstance(last_event(run.events), events.EngineStopped):
        return
    try:
        lock, writer = RunLock(run), EventWriter(run.events)
    except (DanluError, OSError) as error:
        print(f"the engine's end (status {status}) could not be written down: {error}", file=sys.stderr)
        return
    if not isinstance(last_event(run.events), events.EngineStopped):
        cause = cause_of(status, kills, last_lines(run, EXPLAINING))
        last = events.EngineStopped(reason="died", exit_code=status if status > 0 else 128 - status, error=cause.text, cause=cause.code)
        writer.emit(last)
        TrainingLog(run.training_log).write(last)
    writer.close()
    del lock


def _memory_kills() -> int:
    from engine.death import memory_kills

    return memory_kills()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)

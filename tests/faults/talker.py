"""`python -m tests.faults.talker RUN_DIR [EVENTS_PER_S]`: an engine without a model. It holds the lock, takes steps, warns with
running numbers, writes samples, and answers every command, so that consoles can be hurt for minutes at no cost."""

import os
import sys
import time
from pathlib import Path

from engine import events
from engine.control import Control
from engine.queue import EventWriter
from engine.run_directory import RunDirectory, RunLock
from tests.console_runs import beginning, step

MAX_STEPS = 1_000_000


def main(folder: str, per_second: float) -> int:
    """Talk until told to stop."""
    run = RunDirectory(Path(folder))
    lock = RunLock(run)
    control = Control(run)
    control.install_signals()
    writer = EventWriter(run.events)
    for event in [events.EngineStarted(start_id="t", pid=os.getpid(), versions={}), *beginning(MAX_STEPS)[1:]]:
        writer.emit(event)
    number, reason = 0, ""
    while not reason:
        number += 1
        writer.emit(step(number, MAX_STEPS))
        writer.emit(events.Warning(code="mark", text=f"mark-{number:06d}"))
        if number % 5 == 0:
            writer.emit(events.Hardware(gpus=[], rss_gib=1.0, cpu_percent=number % 100))
        reason = _obey(control, writer, number)
        time.sleep(1 / per_second)
    code = 3 if reason == "stopped" else 130
    writer.emit(events.EngineStopped(reason=reason, exit_code=code, step=number))
    writer.close()
    del lock
    return code


def _obey(control: Control, writer: EventWriter, number: int) -> str:
    while command := control.take():
        writer.emit(events.CommandDone(id=command.id, command=command.type, ok=True, reason=f"after step {number}"))
        if command.type == "stop":
            return "stopped"
    return "interrupted" if control.signalled else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20.0))

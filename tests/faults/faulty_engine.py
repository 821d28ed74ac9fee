"""`python -m tests.faults.faulty_engine RUN_DIR FAULT`: the real engine with one fault planted in it.

crash:segfault, crash:abort, crash:bus, crash:exit, crash:kill, crash:memory, crash:host (more and more memory): in the third step.
hang:PHASE: that phase never ends.
flood: before each step some megabytes of output, split inside characters, one line of 50 MB among them.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

from engine import __main__ as engine_main
from engine import watchdog

HANG_PATIENCE_S = 2.0
FLOOD_BYTES = 10 << 20
LONG_LINE_BYTES = 50 << 20


def main(folder: str, fault: str) -> int:
    """Plant the fault, then be the engine."""
    kind, _, which = fault.partition(":")
    {"crash": _plant_crash, "hang": _plant_hang, "flood": _plant_flood}[kind](which)
    return engine_main.main([folder])


def _plant_crash(which: str) -> None:
    from engine.trainer import Trainer

    real = Trainer.take_step

    def take_step(self, step: int) -> None:
        real(self, step)
        if step == 3:
            _crash(which)

    Trainer.take_step = take_step


def _crash(which: str) -> None:
    print("the last line before the fault", flush=True)
    match which:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(7)
        case "bus" | "kill":
            os.kill(os.getpid(), signal.SIGBUS if which == "bus" else signal.SIGKILL)
        case "host":
            held = []
            while True:  # until the kernel ends it
                held.append(b"\1" * (8 << 20))
        case "memory":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), used + (64 << 20)))
            bytearray(1 << 30)


def _hang(*arguments: object, **named: object) -> None:
    while True:
        time.sleep(3600)


def _plant_hang(which: str) -> None:
    watchdog.PATIENCE_S = dict.fromkeys(watchdog.PATIENCE_S, 600.0) | {which: HANG_PATIENCE_S}
    if which == "import":
        sys.meta_path.insert(0, _HangingImport())
        return
    from engine import assembly, trainer

    places = {
        "tokenise": (assembly, "prepare"),
        "load": (assembly, "load_base"),
        "train": (trainer.Trainer, "take_step"),
        "evaluate": (trainer, "evaluate"),
    }
    holder, name = places[which]
    setattr(holder, name, _hang)


class _HangingImport:
    """An import of torch that never comes back, as from a file system that went away."""

    def find_spec(self, name: str, *rest: object) -> None:
        if name == "torch":
            _hang()


def _plant_flood(which: str) -> None:
    from engine.trainer import Trainer

    real = Trainer.take_step
    chunk = ("量子" * 1000 + "\n").encode()

    def take_step(self, step: int) -> None:
        sys.stdout.flush()
        if step == 2:
            _write(b"x" * LONG_LINE_BYTES + b"\n")
        _write((chunk * (FLOOD_BYTES // len(chunk)))[: FLOOD_BYTES - 1])  # ends inside a character
        real(self, step)

    Trainer.take_step = take_step


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

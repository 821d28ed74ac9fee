"""Every process that a fault started, found by a mark in its environment, however it was orphaned, renamed or detached."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from engine.launch import PROJECT
from engine.run_directory import RunDirectory
from tests.patience import wait_until

MARK = "DANLU_FAULT_MARK"
SUPERVISE = "import sys; from engine.supervise import main; sys.exit(main([sys.argv[1]], [sys.executable, '-m', *sys.argv[2:]]))"


class Family:
    """`environment` marks a process and all its descendants; `alive` finds them in /proc; leaving the context kills what is left."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {MARK: self.mark, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)

    def supervised(self, run: RunDirectory, module: str, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen:
        """`python -m MODULE RUN ARGUMENTS` as an engine under its supervisor, detached as `engine.launch` does it.

        before: called in the new process before it becomes the supervisor.
        """
        with open(run.engine_log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", SUPERVISE, str(run.path), module, str(run.path), *arguments],
                cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=os.environ | self.environment,
                preexec_fn=before,  # noqa: PLW1509 - a few system calls, no lock is taken
            )  # fmt: skip

    def alive(self) -> dict[int, str]:
        """Process id → command line of every marked process that runs; those that have ended and wait for their parent don't count."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
        return found

    def nothing_left(self) -> None:
        """Assert that all have gone, within patience."""
        try:
            wait_until(lambda: not self.alive(), "the end of all processes")
        except AssertionError:
            raise AssertionError(f"left behind: {self.alive()}") from None

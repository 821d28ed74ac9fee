"""A process that has imported the engine once and forks a fresh engine for each line it reads: a kill then costs a second, not ten.

Protocol: a JSON line {"run": folder, "kill_at": n} → the child's process id on a line, then its wait status on another.
kill_at: the child kills itself with SIGKILL at the n-th disk operation of its saves; null leaves that to others.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from engine.launch import PROJECT
from engine.run_directory import RunDirectory


class Zygote:
    """The parent's end."""

    def __init__(self, log: Path):
        """log: takes what the process itself says, for when it dies."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.zygote"], cwd=PROJECT, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1,
            )  # fmt: skip

    def start(self, run: RunDirectory, kill_at: int | None = None) -> int:
        """An engine in `run`; returns its process id at once."""
        print(json.dumps({"run": str(run.path), "kill_at": kill_at}), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """The exit code of the engine started last, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End it; an engine it started ends by itself."""
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Import, then fork for each line."""
    import engine.__main__
    import engine.trainer  # noqa: F401 - what takes the seconds

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_the_engine(Path(order["run"]), order["kill_at"])
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


def _be_the_engine(run: Path, kill_at: int | None) -> None:
    import engine.__main__
    from tests.faults.disk import Disk, saves_through

    log = os.open(run / "engine.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    disk = Disk(before=lambda number, call: os.kill(os.getpid(), signal.SIGKILL) if number == kill_at else None)
    with saves_through(disk) if kill_at is not None else contextlib.nullcontext():
        code = engine.__main__.main([str(run)])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

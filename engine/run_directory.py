"""Where a run lives on disk: names of its files, its lock, the list of runs. Reads no events' meaning, starts nothing."""

import contextlib
import fcntl
import json
import os
import re
import time
from pathlib import Path

from engine.errors import EnvironmentFault, RunError

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOCK_PATIENCE_S = 2.0
"""A console that asks `is_alive` holds the lock for an instant; a starting engine waits that long before it gives up."""


class RunDirectory:
    """The paths of one run. Making the object touches nothing."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.events = self.path / "events.jsonl"
        self.commands = self.path / "commands.jsonl"
        self.lock = self.path / "lock"
        self.engine_log = self.path / "engine.log"
        self.training_log = self.path / "training.log"
        self.split = self.path / "split.json"
        self.final_model = self.path / "final_model"

    @property
    def name(self) -> str:
        return self.path.name

    def checkpoint(self, step: int) -> Path:
        return self.path / f"checkpoint-{step}"

    def checkpoints(self) -> list[Path]:
        """Checkpoint folders, newest step first; not verified."""
        found = [p for p in self.path.glob("checkpoint-*") if p.is_dir() and p.name.removeprefix("checkpoint-").isdecimal()]
        return sorted(found, key=lambda p: int(p.name.removeprefix("checkpoint-")), reverse=True)

    def is_alive(self) -> bool:
        """Whether an engine holds the lock now."""
        return self.holder() is not None

    def holder(self) -> int | None:
        """Process id of the engine that holds the lock, or None (0 when it holds it but has not written its id yet)."""
        try:
            file = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_pid(file)
        finally:
            os.close(file)
        return None


class RunLock:
    """Held for the engine's whole life; the kernel frees it however the engine ends, so a stale file is harmless."""

    def __init__(self, run: RunDirectory):
        """Take the lock. Raises RunError when another engine holds it, EnvironmentFault where nothing can be written."""
        try:
            self._file = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentFault(f"{run.lock}: {error.strerror}; the run directory must be writable, check its owner and disk") from error
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while not self._take():
            if time.monotonic() > deadline:
                pid = _read_pid(self._file)
                os.close(self._file)
                raise RunError(
                    f"{run.path}: an engine is already running here (pid {pid}); attach with `danlu attach {run.name}`",
                    "run_in_use", path=run.path, pid=pid, name=run.name,
                )  # fmt: skip
            time.sleep(0.02)
        with contextlib.suppress(OSError):  # a full disk costs the number, not the lock
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps({"pid": os.getpid(), "time": time.time()}).encode(), 0)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False


def _read_pid(file: int) -> int:
    try:
        return int(json.loads(os.pread(file, 4096, 0) or b"{}").get("pid", 0))
    except (ValueError, OSError):
        return 0


def create(output_dir: Path, name: str) -> RunDirectory:
    """Make a new run directory (mode 0700).

    Raises RunError for a bad name or one in use, EnvironmentFault where the folder can't be made.
    """
    if not NAME.fullmatch(name) or name.strip(".") == "":
        raise RunError(f"run name {name!r} is not allowed: use 1 to 64 of the letters A-Z a-z 0-9 . _ -")
    path = output_dir / name
    if path.exists():
        raise RunError(
            f"{path}: this run exists; choose another --name, or go on with `danlu resume {name}`", "run_exists", path=path, name=name
        )
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: cannot make the run directory ({error.strerror}); set run.output_dir to a folder you can write to"
        ) from error
    return RunDirectory(path)


def free_name(output_dir: Path, stem: str) -> str:
    """`stem`-MMDD-HHMMSS, with a number added while it is taken."""
    base = f"{re.sub(r'[^A-Za-z0-9._-]', '-', stem)[:40]}-{time.strftime('%m%d-%H%M%S')}"
    name, n = base, 2
    while (output_dir / name).exists():
        name, n = f"{base}-{n}", n + 1
    return name


def find_runs(output_dir: Path) -> list[RunDirectory]:
    """All run directories under `output_dir`, newest first; [] when there is none."""
    if not output_dir.is_dir():
        return []
    runs = [RunDirectory(path) for path in output_dir.iterdir() if (path / "config.toml").is_file()]
    return sorted(runs, key=lambda run: run.config.stat().st_mtime, reverse=True)


def open_run(output_dir: Path, name_or_path: str) -> RunDirectory:
    """The run with that name, or at that path. Raises RunError naming the known runs."""
    for path in (Path(name_or_path), output_dir / name_or_path):
        if (path / "config.toml").is_file():
            return RunDirectory(path)
    known = ", ".join(run.name for run in find_runs(output_dir)[:5]) or "-"
    raise RunError(
        f"no run {name_or_path!r} in {output_dir}/; known runs: {known}", "no_such_run", name=name_or_path, folder=output_dir, known=known
    )

"""F4: the disk refuses the Nth operation of a save, for N = 1, 2, 3 … until none is refused; a file-size limit; a disk that fills up."""

import contextlib
import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine import events, saving
from engine.errors import DiskFull, EnvironmentFault
from engine.manifest import checkpoint_fault, newest_verified, sweep
from engine.run_directory import RunDirectory
from tests.engine_runs import losses, of_type, start_engine, train_here
from tests.faults.bench import Bench
from tests.faults.disk import Disk, saves_through
from tests.faults.runs import RealSaves, new_run, undisturbed
from tests.patience import ended, wait_until

TITLE = "ENOSPC, EDQUOT, EFBIG, EIO, EXDEV at the Nth operation of a save until none fails; no room at the start; a full tmpfs"
SECONDS = 300
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EXDEV)


def inject(bench: Bench) -> None:
    """Single saves first, then whole runs."""
    saves = RealSaves(bench)
    for number in bench.some(ERRORS, 1):
        _every_operation(bench, saves, number)
    _run_with_refusals(bench)
    _no_room_at_the_start(bench)
    _file_size_limit(bench)
    if not bench.quick:
        _full_disk(bench)


def _every_operation(bench: Bench, saves: RealSaves, number: int) -> None:
    run = RunDirectory(bench.folder / f"refused-{number}")
    run.path.mkdir()
    saves.save(run, 2)
    saves.save(run, 4)
    before = {folder.name: _content(folder) for folder in run.checkpoints()}
    refused_at, done = 1, False
    while not done and bench.in_time():
        disk = Disk(before=lambda at, call, wanted=refused_at: _refuse(number) if at == wanted else None)
        with bench.injection(f"{errno.errorcode[number]} at operation {refused_at} of a save"):
            done = _try_save(saves, run, disk) and disk.calls < refused_at
            found, skipped = newest_verified(run)
            assert skipped == [] and found is not None and found.name in ("checkpoint-4", "checkpoint-6")
            assert sum(checkpoint_fault(folder) is None for folder in run.checkpoints()) >= 2
            sweep(run)
            assert not [path for path in run.path.iterdir() if path.name.startswith(".")]
        _restore(run, before)
        refused_at += 1
    bench.note(f"{errno.errorcode[number]}: {refused_at - 2} operations")


def _try_save(saves: RealSaves, run: RunDirectory, disk: Disk) -> bool:
    """Whether step 6 was saved; a refusal must be an error that a person can act on."""
    with disk.watched():
        try:
            saves.save(run, 6)
            return True
        except EnvironmentFault as error:
            assert str(run.path) in str(error)
    return False


def _run_with_refusals(bench: Bench) -> None:
    """Every fifth operation or so of every save is refused: the run waits, tells, tries again, and its losses are the same."""
    for number in (errno.ENOSPC, errno.EIO):
        run = new_run(bench, f"run-{number}")
        disk = Disk(before=lambda at, call, number=number: _refuse(number) if bench.random.random() < 0.04 else None)
        with bench.injection(f"a run whose disk refuses one of 25 operations with {errno.errorcode[number]}"):
            with pytest.MonkeyPatch.context() as patch, saves_through(disk):
                patch.setattr(saving, "LOOK_AGAIN_S", 0.01)
                _until_finished(run)
            codes = {warning.code for warning in of_type(run, events.Warning)}
            assert losses(run) == losses(undisturbed(bench))
            assert codes & {"disk_full", "not_saved"}, codes


def _no_room_at_the_start(bench: Bench) -> None:
    """Said before the first step, not at the first save; with room the same run begins."""
    run = new_run(bench, "no-room")
    with bench.injection("1 MiB free before the first step"):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(DiskFull, match="GiB needed to save"):
            patch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=1 << 40, free=1 << 20))
            train_here(run)
        assert not losses(run)
        assert train_here(run) == "finished"


def _until_finished(run: RunDirectory) -> None:
    """A refusal of the last save ends the run; then it is resumed, as a person would."""
    for _ in range(20):
        with contextlib.suppress(EnvironmentFault):
            train_here(run)
            return
    raise AssertionError("not finished after 20 starts")


def _file_size_limit(bench: Bench) -> None:
    """The kernel itself refuses to let a file grow: the run ends with the reason, and goes on without the limit."""
    run = new_run(bench, "limited")
    with bench.injection("RLIMIT_FSIZE of 30 KB for a whole engine"):
        engine = start_engine(run, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)))
        assert ended(engine, "the engine") == 1
        assert "File too large" in run.engine_log.read_text()
        assert ended(start_engine(run), "the engine") == 0
        assert losses(run) == losses(undisturbed(bench))


def _full_disk(bench: Bench) -> None:
    """A real file system without room: the run pauses, says so, and goes on by itself when there is room."""
    place = bench.folder / "tmpfs"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        bench.note("a full tmpfs needs root")
        return
    try:
        with bench.injection("a tmpfs that is full for a while"):
            run = new_run(bench, "full", where=place)
            engine = start_engine(run)
            wait_until(lambda: losses(run) or engine.poll() is not None, "the first step")
            filler = place / "filler"
            filler.write_bytes(b"\0" * (60 << 20))
            wait_until(lambda: any(w.code == "disk_full" for w in of_type(run, events.Warning)) or engine.poll() is not None, "the warning")
            filler.unlink()
            assert ended(engine, "the engine") == 0
            assert losses(run) == losses(undisturbed(bench))
    finally:
        subprocess.run(["umount", place], check=False)


def _refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _restore(run: RunDirectory, before: dict[str, dict[str, bytes]]) -> None:
    """The run directory as it was, without the disk in between."""
    for path in run.path.iterdir():
        shutil.rmtree(path)
    for name, files in before.items():
        (run.path / name).mkdir()
        for file, content in files.items():
            (run.path / name / file).write_bytes(content)

"""F5: the power goes at every moment of a save. Rebuilt from the recorded operations: what was not synced is dropped, torn or kept.

The model of the disk is harsher than any journaling file system: a change of a folder lasts when that folder has been synced
since, contents of a file when that file has been; everything else may be there, half there or not, each on its own.
"""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.manifest import newest_verified, sweep
from engine.run_directory import RunDirectory
from tests.faults.bench import Bench
from tests.faults.disk import Call, Disk
from tests.faults.runs import RealSaves

TITLE = "power loss after every operation of a save: unsynced writes dropped, torn or kept"
SECONDS = 240


@dataclass
class Done:
    """One operation that the recorder saw. content: of a file or, for a sync of a folder, None."""

    call: Call
    content: bytes | None = None


def inject(bench: Bench) -> None:
    """Record two saves with their rotation (the second replaces a damaged folder of the same step), then lose power all over."""
    saves = RealSaves(bench)
    run = RunDirectory(bench.folder / "run")
    run.path.mkdir()
    for step in (2, 4):
        saves.save(run, step)
    (run.path / "checkpoint-8").mkdir()
    base = bench.folder / "base"
    shutil.copytree(run.path, base)
    done: list[Done] = []
    reached = []
    with Disk(after=lambda number, call: done.append(_seen(call))).watched():
        for step in (6, 8):
            saves.save(run, step)
            reached.append(len(done))
    for cut in range(len(done) + 1):
        for trial in range(bench.count(2, 24)):
            if not bench.in_time():
                return
            with bench.injection(f"power lost after operation {cut} of {len(done)}, trial {trial}"):
                _after_power_loss(bench, base, run.path, done[:cut], 4 if cut < reached[0] else 6 if cut < reached[1] else 8, trial)
    bench.note(f"{len(done)} operations recorded")


def _after_power_loss(bench: Bench, base: Path, root: Path, done: list[Done], at_least: int, trial: int) -> None:
    """What stands on the disk afterwards still gives a checkpoint, and never an older one than was promised."""
    place = bench.folder / "after"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    _replay(done, root, place, bench.random, drop=1.0 if trial == 0 else 0.0 if trial == 1 else bench.random.random())
    run = RunDirectory(place)
    sweep(run)
    found, _ = newest_verified(run)
    assert found is not None and int(found.name.removeprefix("checkpoint-")) >= at_least, f"{found} instead of step {at_least} or later"


def _replay(done: list[Done], root: Path, place: Path, chance: random.Random, drop: float) -> None:
    """Do again what lasts, and of the rest what chance lets through. A change that has nothing to change is passed over."""
    for number, one in enumerate(done):
        call = one.call
        if call.name in ("fsync", "write", "ftruncate"):
            continue
        later = done[number + 1 :]
        if not _folders_synced(call, later) and chance.random() < drop:
            continue
        path, target = place / os.path.relpath(call.path, root), place / os.path.relpath(call.target or call.path, root)
        try:
            _do(call.name, path, target)
        except OSError:
            continue
        if call.name in ("open", "save_file"):
            path.write_bytes(_surviving(call.path, one, later, chance))


def _do(name: str, path: Path, target: Path) -> None:
    if name == "mkdir":
        path.mkdir()
    elif name in ("rename", "replace"):
        os.rename(path, target)
    elif name == "unlink":
        path.unlink()
    elif name == "rmdir":
        path.rmdir()
    elif not path.parent.is_dir():
        raise FileNotFoundError(path)


def _surviving(path: str, one: Done, later: list[Done], chance: random.Random) -> bytes:
    """The contents when the file has been synced, else any torn piece of them."""
    synced = next((other.content for other in later if other.call.name == "fsync" and other.call.path == path), None)
    if synced is not None:
        return synced
    content = one.content or b"\1" * chance.randrange(1, 5000)
    kept = content[: chance.randrange(len(content) + 1)]
    return kept + b"\0" * chance.choice((0, len(content) - len(kept)))


def _folders_synced(call: Call, later: list[Done]) -> bool:
    """Whether every folder that the change is written in has been synced since, under the name it had then."""
    folders = {os.path.dirname(call.path), os.path.dirname(call.target or call.path)}
    return folders <= {other.call.path for other in later if other.call.name == "fsync"}


def _seen(call: Call) -> Done:
    is_file = call.name in ("fsync", "open", "save_file") and os.path.isfile(call.path)
    return Done(call, Path(call.path).read_bytes() if is_file else None)

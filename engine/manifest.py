"""Folders that are whole or not there: written beside, synced, hashed, read back, renamed, and only then counted.

Torch-free, so that the engine knows where it resumes before it spends seconds on imports. Not here: what is in a folder
(`engine.checkpoint`, `engine.final_model`), when to save again after a refusal (`engine.saving`).
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from engine.errors import DiskFull, EnvironmentFault, RunError
from engine.run_directory import RunDirectory

MANIFEST = "manifest.json"
RESERVE_BYTES = 64 << 20
"""Left free on the disk for the logs of the run."""
ERRNO_IN_TEXT = re.compile(r"os error (\d+)")
"""safetensors tells the system's error only in its text."""


def write_verified(
    target: Path, write: Callable[[Path], None], expected_bytes: int, facts: dict[str, Any] | None = None, spare: int = 2
) -> int:
    """Let `write` fill a temporary sibling of `target`, then sync, hash, sync, read back, rename, sync; return its bytes.

    facts: put into the manifest beside the files.  spare: so many times `expected_bytes` must be free; a run will save again.
    A `target` that exists is replaced only by a verified one.
    Raises DiskFull where there is no room, EnvironmentFault for whatever else the disk refuses; `target` is as before then.
    """
    temporary = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    try:
        with _refusals(target):
            check_room(target.parent, spare * expected_bytes)
            shutil.rmtree(temporary, ignore_errors=True)
            os.mkdir(temporary, 0o700)
            write(temporary)
            size = _seal(temporary, facts or {})
            if fault := find_fault(temporary):
                raise EnvironmentFault(f"{target}: what was written does not read back the same ({fault}); the disk may be failing")
            _put_in_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return size


def check_room(folder: Path, expected_bytes: int) -> None:
    """Raise DiskFull where `folder` has less than `expected_bytes` and a reserve for the logs."""
    free, needed = shutil.disk_usage(folder).free, expected_bytes + RESERVE_BYTES
    if free < needed:
        there, wanted = f"{free / 2**30:.2f}", f"{needed / 2**30:.2f}"
        raise DiskFull(
            f"{folder}: {there} GiB free, {wanted} GiB needed to save; free some space",
            "no_space", path=folder, free=there, needed=wanted,
        )  # fmt: skip


def find_fault(folder: Path) -> str | None:
    """Why the folder does not verify against its manifest, or None when every file has its size and hash."""
    if folder.is_symlink():
        return "is a symbolic link; put the folder itself here"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest.pop("sha256") != _digest(manifest):
            return f"{MANIFEST} does not match its own sha256"
        for entry in manifest["files"]:
            path = folder / entry["path"]
            if path.parent != folder or path.is_symlink():
                return f"{entry['path']} is not a plain file of this folder"
            if path.stat().st_size != entry["size"]:
                return f"{entry['path']} has {path.stat().st_size} bytes, {entry['size']} were written"
            if _sha256(path) != entry["sha256"]:
                return f"{entry['path']} does not match its sha256"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def checkpoint_fault(folder: Path) -> str | None:
    """`find_fault`, and the name must be that of the step it was saved at."""
    fault = find_fault(folder)
    if fault is None:
        step = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("step")
        fault = None if folder.name == f"checkpoint-{step}" else f"was saved at step {step}, under another name"
    return fault


def newest_verified(run: RunDirectory) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that verifies, and why newer ones did not; None when the run has none at all.

    Raises RunError when there are checkpoints but none verifies.
    """
    skipped = []
    for folder in run.checkpoints():
        fault = checkpoint_fault(folder)
        if fault is None:
            return folder, skipped
        skipped.append(f"{folder.name}: {fault}")
    if skipped:
        raise RunError(
            f"{run.path}: no checkpoint verifies ({'; '.join(skipped)}); start a new run, or restore a checkpoint folder from a backup"
        )
    return None, skipped


def rotate(run: RunDirectory, keep: int, pinned: int | None = None) -> None:
    """Delete the oldest checkpoints beyond `keep`, never that of step `pinned`.

    Folders that don't verify are left for a person to look at and don't count.
    """
    verified = [folder for folder in run.checkpoints() if checkpoint_fault(folder) is None]
    for folder in verified[max(2, keep) :]:
        if pinned is None or folder != run.checkpoint(pinned):
            shutil.rmtree(folder, ignore_errors=True)


def sweep(run: RunDirectory) -> None:
    """Remove what killed saves left behind, and put back what a killed replacement had moved aside."""
    for leftover in run.path.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for aside in run.path.glob(".old-*"):
        target = run.path / aside.name.removeprefix(".old-")
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.rename(aside, target)


def _seal(folder: Path, facts: dict[str, Any]) -> int:
    """Sync every file, write the manifest, sync the folder; return the bytes of the files."""
    files = [{"path": path.name, "size": path.stat().st_size, "sha256": _sha256(path)} for path in _files(folder)]
    for path in _files(folder):
        _sync(path)
    manifest = facts | {"files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"sha256": _digest(manifest)}, indent=1, ensure_ascii=False), encoding="utf-8")
    _sync(folder / MANIFEST)
    _sync(folder)
    return sum(entry["size"] for entry in files)


def _put_in_place(temporary: Path, target: Path) -> None:
    """Rename; what stood there is moved aside first, because no system replaces a folder that holds something."""
    aside = target.with_name(f".old-{target.name}")
    if os.path.lexists(target):
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(target, aside)
        try:
            os.rename(temporary, target)
        except OSError:
            os.rename(aside, target)
            raise
    else:
        os.rename(temporary, target)
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """The system's refusals as errors that a person can act on."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        found = ERRNO_IN_TEXT.search(str(error))
        number = error.errno if isinstance(error, OSError) else int(found[1]) if found else 0
        reason = os.strerror(number) if number else error
        kind = DiskFull if number in DiskFull.ERRNOS else EnvironmentFault
        raise kind(
            f"{target}: cannot be saved ({reason}); free space or check the disk", "not_saved", path=target, reason=reason
        ) from error


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """fsync a file or a folder: safetensors does not, and a rename is only durable once its folder is synced."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""Folders that are whole or not there: written beside, synced, hashed, renamed, read back, and only then counted.

Torch-free, so that the engine knows where it resumes before it spends seconds on imports. Not here: what is in a folder
(`engine.checkpoint`, `engine.final_model`).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.errors import EnvironmentFault, RunError
from engine.run_directory import RunDirectory

MANIFEST = "manifest.json"
RESERVE_BYTES = 64 << 20
"""Left free on the disk for the logs of the run."""


def write_verified(target: Path, write: Callable[[Path], None], expected_bytes: int) -> int:
    """Let `write` fill a temporary sibling of `target`, then sync, hash, rename, sync, read back; return its bytes.

    A `target` that exists is replaced only by a verified one. Raises EnvironmentFault.
    """
    temporary = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    try:
        free, needed = shutil.disk_usage(target.parent).free, 2 * expected_bytes + RESERVE_BYTES
        if free < needed:
            raise EnvironmentFault(f"{target}: {free / 2**30:.2f} GiB free, {needed / 2**30:.2f} GiB needed to save; free some space")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700)
        write(temporary)
        files = [{"path": p.name, "size": p.stat().st_size, "sha256": _sha256(p)} for p in _files(temporary)]
        (temporary / MANIFEST).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
        for path in [*_files(temporary), temporary]:
            _sync(path)
        if fault := find_fault(temporary):
            raise EnvironmentFault(f"{target}: what was written does not read back the same ({fault}); the disk may be failing")
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise EnvironmentFault(f"{target}: cannot be saved ({error.strerror or error}); free space or check the disk") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sum(entry["size"] for entry in files)


def find_fault(folder: Path) -> str | None:
    """Why the folder does not verify against its manifest, or None when every file has its size and hash."""
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        for entry in entries:
            path = folder / entry["path"]
            if path.parent != folder or path.is_symlink():
                return f"{entry['path']} is not a plain file of this folder"
            if path.stat().st_size != entry["size"]:
                return f"{entry['path']} has {path.stat().st_size} bytes, {entry['size']} were written"
            if _sha256(path) != entry["sha256"]:
                return f"{entry['path']} does not match its sha256"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def newest_verified(run: RunDirectory) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that verifies, and why newer ones did not; None when the run has none at all.

    Raises RunError when there are checkpoints but none verifies.
    """
    skipped = []
    for folder in run.checkpoints():
        fault = find_fault(folder)
        if fault is None:
            return folder, skipped
        skipped.append(f"{folder.name}: {fault}")
    if skipped:
        raise RunError(
            f"{run.path}: no checkpoint verifies ({'; '.join(skipped)}); start a new run, or restore a checkpoint folder from a backup"
        )
    return None, skipped


def rotate(run: RunDirectory, keep: int) -> None:
    """Delete the oldest checkpoints beyond `keep`; folders that don't verify are left for a person to look at and don't count."""
    verified = [folder for folder in run.checkpoints() if find_fault(folder) is None]
    for folder in verified[max(2, keep) :]:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(run: RunDirectory) -> None:
    """Remove what killed saves left behind."""
    for leftover in run.path.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


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

"""Where findings about data files are kept between sessions: the user's cache (`data.user_folders`), else the temporary folder.

Keys hold the sha256 of everything a finding depends on, so an entry is never stale, only unused. What is kept is said by callers.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from data.errors import DataError
from data.user_folders import cache_folder

_PACKAGE = Path(__file__).resolve().parent


def data_cache() -> Path:
    """The folder, made if need be; one in the temporary folder where the home cannot be written to. Raises DataError without either."""
    wanted = cache_folder() / "data"
    for folder in (wanted, Path(tempfile.gettempdir()) / f"danlu-data-{os.getuid()}"):
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
                return folder
    raise DataError(f"{wanted}: cannot be written to; set XDG_CACHE_HOME to a folder you can write to")


def make_room(limit: int = 8 << 30) -> None:
    """Delete what has not been used for longest until no more than `limit` bytes are kept. What a process has open stays readable."""
    entries = []
    for entry in data_cache().iterdir():
        with contextlib.suppress(OSError):
            files = [*entry.iterdir()] if entry.is_dir() else [entry]
            entries.append((entry.stat().st_mtime, sum(file.stat().st_size for file in files), entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries, key=lambda one: one[0]):
        if total <= limit:
            return
        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
        total -= size


def cache_key(*parts: object) -> str:
    """A name for what was made of `parts` by this version of the code."""
    return hashlib.sha256(repr((code_version(), *parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@cache
def code_version() -> str:
    """Changes with any file of this package: what another version found out may be otherwise."""
    digest = hashlib.sha256()
    for file in sorted([*_PACKAGE.glob("*.py"), *_PACKAGE.glob("*.toml")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all. A full disk is no error: the finding is made again next time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)

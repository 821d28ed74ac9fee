"""Where findings about data files are kept between sessions: $XDG_CACHE_HOME/danlu/data, by default ~/.cache/danlu/data.

Keys hold the sha256 of everything a finding depends on, so an entry is never stale, only unused. What is kept is said by callers.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

from data.errors import DataError

_PACKAGE = Path(__file__).resolve().parent


def data_cache() -> Path:
    """The folder, made if need be. Raises DataError where it cannot be."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "danlu" / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}); set XDG_CACHE_HOME to a folder you can write to") from error
    return folder


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

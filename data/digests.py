"""sha256 of files, each read once: asked again for an unchanged file, the answer is free."""

import hashlib
from functools import lru_cache
from pathlib import Path

_PIECE = 1 << 20


def file_sha256(path: Path) -> str:
    """Hex digest of the file's bytes. Raises OSError."""
    facts = path.stat()
    return _digest(path, facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=32)
def _digest(path: Path, *identity: int) -> str:
    """identity: whatever changes when the file does."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()

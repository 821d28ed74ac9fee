"""Secrets out of engine.log: what native libraries print by themselves goes there past Python, and may hold a token or an address.

Overwritten in place and at the same length, so that an engine that appends meanwhile is not disturbed. A pipe in between would be
tighter, but an engine whose reader dies is killed by its next print.
"""

import os
import threading
from pathlib import Path

from engine.redaction import secret_spans

BLOCK = 1 << 20
OVERLAP = 4096
"""Bytes looked at again with what comes behind them: a secret may have been written in two pieces."""
EVERY_S = 2.0
MARK = b"[redacted]"


class LogRedaction:
    """Looks at what was added to the log every few seconds, from a thread of its own; `finish` looks once more."""

    def __init__(self, path: Path):
        self._path, self._done = path, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="log", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Nothing secret is in the log when this returns."""
        self._stop.set()
        self._thread.join()
        self._look(is_whole=True)

    def _watch(self) -> None:
        self._look()
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self, is_whole: bool = False) -> None:
        """A log that cannot be read or written is somebody else's trouble."""
        try:
            if is_whole or os.stat(self._path).st_size > self._done:
                self._done = redact_file(self._path, max(0, self._done - OVERLAP), is_whole)
        except OSError:
            return


def redact_file(path: Path, start: int = 0, is_whole: bool = True) -> int:
    """Overwrite every secret behind `start` with as many bytes that are none; return where the file ended. Raises OSError.

    is_whole: nothing will be appended; else what the file ends with may be the beginning of a longer secret, and is left for the next time.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        while block := os.pread(file, BLOCK, start):
            is_last = len(block) < BLOCK
            for begin, end in secret_spans(block):
                if end == len(block) and not (is_last and is_whole):
                    continue  # the next block, or the next look, begins before it
                os.pwrite(file, MARK[: end - begin].ljust(end - begin, b"*"), start + begin)
            if is_last:
                return start + len(block)
            start += BLOCK - OVERLAP
        return start
    finally:
        os.close(file)

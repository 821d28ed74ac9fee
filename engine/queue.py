"""The durable queue: append-only files of JSON lines, one writer of events, any number of readers.

Not here: what an event means (`engine.events`), who may write (`engine.run_directory` holds the lock).
Why not `multiprocessing.Queue`: it dies with its parent, can't be attached to again, and a writer killed in mid-put
jams its reader.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from engine import commands, events

HELD_BACK = 10_000
"""Events kept in memory while the disk refuses them; beyond it the oldest sample pieces and hardware lines go first."""

T = TypeVar("T")


class EventWriter:
    """Appends events with gapless `seq`. Emitting never raises and never waits for a reader.

    When the disk refuses (full, quota), events are held back in memory in order and written when it takes them again.
    Thread-safe: the loop and the hardware sampler share one writer.
    """

    def __init__(self, path: Path):
        """Continue `path` (made if missing): a torn last line of a killed writer is cut off."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seq = _repair(self._file)
        self._held: deque[bytes] = deque()
        self._lock = threading.Lock()

    def emit(self, event: events.Event) -> None:
        """Append `event` with the next `seq` and the time of now."""
        with self._lock:
            stamped = msgspec.structs.replace(event, seq=self._seq, time=time.time())
            self._seq += 1
            self._held.append(events.encode(stamped))
            self._flush()

    def close(self) -> None:
        """Try once more to write what is held back, sync, and close."""
        with self._lock:
            self._flush()
            with contextlib.suppress(OSError):  # a disk that refuses to sync must not turn a finished run into a failed one
                os.fsync(self._file)
            os.close(self._file)

    def _flush(self) -> None:
        """Write held lines in order; on refusal leave the rest (cutting back a half-written line) for the next call."""
        while self._held:
            end = os.lseek(self._file, 0, os.SEEK_END)
            try:
                written = os.write(self._file, self._held[0])
            except OSError:
                return
            if written < len(self._held[0]):
                os.ftruncate(self._file, end)
                return
            self._held.popleft()


def _repair(file: int) -> int:
    """Cut a torn last line off and return the next `seq`."""
    size = os.fstat(file).st_size
    start = max(0, size - (1 << 20))
    tail = os.pread(file, size - start, start)
    whole = tail.rfind(b"\n") + 1
    os.ftruncate(file, start + whole)
    lines = tail[:whole].splitlines()
    last = next((event for line in reversed(lines) if (event := events.decode(line))), None)
    return last.seq + 1 if last else 0


class Tail:
    """One reader's place in a file of lines; a line counts only once its newline is there."""

    def __init__(self, path: Path, decode: Callable[[bytes], T | None], offset: int = 0):
        self.path = path
        self.offset = offset
        """Byte after the last whole line read."""
        self._decode = decode

    def read(self, max_bytes: int = 8 << 20) -> list[T]:
        """What is new, at most about `max_bytes` at a time; [] when nothing is. Lines that don't decode are passed over."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                block = file.read(max_bytes)
                if b"\n" not in block and len(block) == max_bytes:
                    block += file.readline()
        except FileNotFoundError:
            return []
        whole = block[: block.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [item for line in whole.splitlines() if (item := self._decode(line)) is not None]


def append_command(path: Path, command: commands.Command) -> None:
    """Append one command; several consoles may do so at once (one O_APPEND write each).

    Raises OSError where the file can't be written (the caller tells the user).
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, commands.encode(command))
    finally:
        os.close(file)

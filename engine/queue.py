"""The durable queue: append-only files of JSON lines, one writer of events, any number of readers.

Not here: what an event means (`engine.events`), who may write (`engine.run_directory` holds the lock).
Why not `multiprocessing.Queue`: it dies with its parent, can't be attached to again, and a writer killed in mid-put
jams its reader.
"""

import contextlib
import errno
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from engine import commands, events
from engine.redaction import redact_bytes

HELD_BACK = 10_000
"""Events kept in memory while the disk refuses them; beyond it sample pieces and the machine's load go first, oldest before newer."""
EXPENDABLE = (b'{"type":"sample_text"', b'{"type":"hardware"')
"""What a run can be understood without: a finished sample repeats its pieces, the next load replaces the last."""
BLOCK = 1 << 20

T = TypeVar("T")


class _Line:
    """One event on its way to the disk. at: byte where it is written, None until that is known; written there again, it is the same."""

    def __init__(self, seq: int, data: bytes):
        self.seq, self.data = seq, data
        self.at: int | None = None


class EventWriter:
    """Appends events with gapless `seq`. Emitting never raises and never waits for a reader.

    When the disk refuses (full, quota), events are held back in memory in order and written when it takes them again; a gap
    in `seq` is an event that even the memory had no room for, and a warning `events_lost` then says how many.
    Thread-safe: the loop and the hardware sampler share one writer. A signal's exception may leave `emit` anywhere: the event is then in
    the log once or not at all, and the next one follows it.
    """

    def __init__(self, path: Path):
        """Continue `path` (made if missing): a torn last line of a killed writer is cut off. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._next = _repair(self._file)
        """`seq` of the first event that is not in the file."""
        self._held: deque[_Line] = deque()
        self._lost = 0
        self._lock = threading.Lock()

    def emit(self, event: events.Event) -> None:
        """Append `event` with the next `seq` and the time of now."""
        with self._lock:
            self._hold(event)
            self._flush()
            if self._lost and not self._held:
                lost, self._lost = self._lost, 0
                self._hold(events.Warning(code="events_lost", text=f"the disk took nothing for so long that {lost} events were given up"))
                self._flush()

    def close(self) -> int:
        """Try once more to write what is held back, sync, and close; return how many events are lost now."""
        with self._lock:
            self._flush()
            # A disk that refuses to sync must not turn a finished run into a failed one.
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            with contextlib.suppress(OSError):
                os.close(self._file)
            return self._lost + len(self._held)

    def _hold(self, event: events.Event) -> None:
        seq = self._held[-1].seq + 1 if self._held else self._next
        self._held.append(_Line(seq, redact_bytes(events.encode(msgspec.structs.replace(event, seq=seq, time=time.time())))))
        if len(self._held) > HELD_BACK:
            self._give_up_one()

    def _give_up_one(self) -> None:
        """Not the newest, whose number the next event goes on from."""
        older = enumerate(islice(self._held, len(self._held) - 1))
        index = next((index for index, line in older if line.data.startswith(EXPENDABLE)), 0)
        lost = self._held[index]
        del self._held[index]
        if index == 0:
            self._held[0].at = lost.at  # over what was written of it
        self._lost += 1

    def _flush(self) -> None:
        """Write held lines in order; on refusal leave the rest for the next call, a half-written line taken back."""
        while self._held:
            line = self._held[0]
            try:
                if line.at is None:
                    line.at = os.lseek(self._file, 0, os.SEEK_END)
                written = os.pwrite(self._file, line.data, line.at)
            except OSError:
                return
            if written < len(line.data):
                with contextlib.suppress(OSError):  # else it is written over
                    os.ftruncate(self._file, line.at)
                return
            self._next = line.seq + 1
            self._held.popleft()


def _repair(file: int) -> int:
    """Cut a torn last line off, however long it is, and return the next `seq`."""
    end = os.fstat(file).st_size
    whole = _line_start(file, end)
    if whole < end:
        os.ftruncate(file, whole)
    last = _last_event(file, whole)
    return last.seq + 1 if last else 0


def last_event(path: Path) -> "events.Event | events.Unknown | None":
    """The newest numbered event of a log, None when it holds none or can't be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _last_event(file, _line_start(file, os.fstat(file).st_size))
    finally:
        os.close(file)


def last_of_type(path: Path, type: str) -> "events.Event | events.Unknown | None":
    """The newest event of one type, however far back it lies; None when there is none or the log can't be read. A search, no decoding:
    some milliseconds for a hundred thousand events."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
            start = log.rfind(b'{"type":"%s"' % type.encode(), 0, log.rfind(b"\n") + 1)
            return events.decode(log[start : log.find(b"\n", start)]) if start >= 0 else None
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None


def _last_event(file: int, whole: int) -> "events.Event | events.Unknown | None":
    """The same of the first `whole` bytes, which end in a newline."""
    while whole > 0:
        start = _line_start(file, max(0, whole - BLOCK))
        lines = os.pread(file, whole - start, start).splitlines()
        if last := next((event for line in reversed(lines) if (event := events.decode(line)) and event.seq >= 0), None):
            return last
        whole = start
    return None


def _line_start(file: int, end: int) -> int:
    """Byte after the last newline before `end`, 0 without one."""
    while end > 0:
        start = max(0, end - BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class Tail:
    """One reader's place in a file of lines; a line counts only once its newline is there."""

    def __init__(self, path: Path, decode: Callable[[bytes], T | None], offset: int = 0):
        self.path = path
        self.offset = offset
        """Byte after the last whole line read."""
        self._decode = decode
        self._unfinished = -1
        """Size of the file when it last ended in a line without its newline: until it grows there is nothing to read again."""

    def read(self, max_bytes: int = 8 << 20) -> list[T]:
        """What is new, at most about `max_bytes` at a time; [] when nothing is. Lines that don't decode are passed over."""
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size == self._unfinished:
                    return []
                file.seek(self.offset)
                block = file.read(max_bytes)
                if b"\n" not in block and len(block) == max_bytes:
                    block += file.readline()
        except FileNotFoundError:
            return []
        whole = block[: block.rfind(b"\n") + 1]
        self.offset += len(whole)
        self._unfinished = size if not whole else -1
        return [item for line in whole.splitlines() if (item := self._decode(line)) is not None]


def append_command(path: Path, command: commands.Command) -> None:
    """Append one command; several consoles may do so at once (one O_APPEND write each).

    A line that another console left unfinished is ended first, so that it spoils only itself.
    Raises OSError where the file can't be written whole (the caller tells the user).
    """
    line = redact_bytes(commands.encode(command))
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(file)

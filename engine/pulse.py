"""Signs of life of the ranks of one machine: what each does and since when, in a few bytes of shared memory a rank.

A rank writes its own, the launcher reads all of them; neither ever waits for the other. Last words are JSON files beside them.
Not here: what silence means (`engine.watchdog`). No torch.
"""

import contextlib
import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

LAYOUT = struct.Struct("<qqq?dd48s")
"""pid, rank, step, waiting, beat, busy before waiting, stage. Times are CLOCK_MONOTONIC, which all processes of a machine share."""


class Beat(Struct, frozen=True):
    """stage: phase, or what is waited for when `waiting`.  beat: when it last moved.  busy_s: how long it worked before it began to
    wait, which is about what any other rank may need too."""

    pid: int
    rank: int
    step: int
    waiting: bool
    beat: float
    busy_s: float
    stage: str


class LastWord(Struct, frozen=True):
    """How a rank ended.  is_consequence: another rank's end made it fail.  time: Unix seconds."""

    rank: int
    reason: str
    exit_code: int
    step: int
    error: str
    is_consequence: bool
    time: float


class Pulse:
    """The writing end: one a rank."""

    def __init__(self, folder: Path, rank: int):
        """Begin with stage "import". `folder` is the launcher's, on this machine."""
        self._folder, self._rank = folder, rank
        self._step, self._stage, self._worked_since = 0, "import", time.monotonic()
        self._depth = 0
        file = os.open(folder / f"pulse-{rank}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(file, LAYOUT.size)
        self._map = mmap.mmap(file, LAYOUT.size)
        os.close(file)
        self._write(self._stage, waiting=False, busy_s=0.0)

    def beat(self, stage: str | None = None, step: int | None = None) -> None:
        """Something has moved. A microsecond; safe from any thread of the rank."""
        self._stage, self._step = stage or self._stage, self._step if step is None else step
        if self._depth == 0:
            self._write(self._stage, waiting=False, busy_s=0.0)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """While the body waits for the other ranks."""
        self._depth += 1
        self._write(what, waiting=True, busy_s=time.monotonic() - self._worked_since)
        try:
            yield
        finally:
            self._depth -= 1
            self._worked_since = time.monotonic()
            self._write(self._stage, waiting=False, busy_s=0.0)

    def last_word(self, word: LastWord) -> None:
        """Say how this rank ended; whole or not at all."""
        temporary = self._folder / f".last-{self._rank}"
        temporary.write_bytes(msgspec.json.encode(word))
        temporary.replace(self._folder / f"last-{self._rank}.json")

    def _write(self, stage: str, *, waiting: bool, busy_s: float) -> None:
        name = stage.encode("utf-8", "replace")[:48]
        LAYOUT.pack_into(self._map, 0, os.getpid(), self._rank, self._step, waiting, time.monotonic(), busy_s, name)


def read_beats(folder: Path) -> list[Beat]:
    """The newest beat of every rank that has begun, in the order of the ranks."""
    beats = []
    for path in folder.glob("pulse-*"):
        content = path.read_bytes()
        if len(content) == LAYOUT.size and any(content):
            pid, rank, step, waiting, beat, busy_s, stage = LAYOUT.unpack(content)
            beats.append(Beat(pid, rank, step, waiting, beat, busy_s, stage.rstrip(b"\0").decode("utf-8", "replace")))
    return sorted(beats, key=lambda beat: beat.rank)


def read_last_words(folder: Path) -> list[LastWord]:
    """Last words of the ranks that have said them, earliest first."""
    words = [msgspec.json.decode(path.read_bytes(), type=LastWord) for path in folder.glob("last-*.json")]
    return sorted(words, key=lambda word: word.time)

"""The texts of many records looked at by several processes, a share each: `data.text_checks` on every core.

A process gets conversations and gives what it found, msgpack behind its length. It ends with its pipe, so none outlives whoever
started it; the share of one that died is looked at here, so that a defect shows where it can be told.
"""

import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from data.conversation import Conversation
from data.record import Record
from data.text_checks import Texts, look_at_texts

MANY = 4_000
"""Records from which processes are worth their start: half a second of CPU each."""
MOST = 8
"""Processes that one can keep fed with records."""
_SHARE = 512
_AHEAD = 8
"""Shares a process that may wait for it: whoever brings them has other work to do in between."""
_LENGTH_BYTES = 4
_PROJECT = Path(__file__).resolve().parent.parent


class _Asked(Struct, array_like=True):
    """What is needed of a record to look at its texts."""

    index: int
    line: int
    conversation: Conversation


class TextLooker:
    """`look_at_texts` of records that come one after another, the same whatever the number of processes. A context manager.

    count: about how many records will come; processes: one a core without it, and none for few records.
    """

    def __init__(self, count: int, processes: int | None = None):
        several = min(processes or _cores(), MOST)
        self._found, self._done, self._added = Texts({}, {}, {}, {}), 0, 0
        self._share: list[Record] = []
        self._waiting: deque[tuple[list[Record], Future[Texts]]] = deque()
        self._processes = _Processes(several) if several > 1 and count >= MANY else None
        self._most_waiting = _AHEAD * several

    def __enter__(self) -> "TextLooker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes:
            self._processes.end()

    def add(self, record: Record) -> None:
        """The next record. Waits where the processes are far behind."""
        self._share.append(record)
        self._added += 1
        if len(self._share) == _SHARE:
            self._pass_on()

    def texts(self, progress: Callable[[int, int], None] | None = None) -> Texts:
        """What was found in all of them. progress: records done and in all; it may raise to stop."""
        self._pass_on()
        while self._waiting:
            self._take()
            if progress:
                progress(self._done, self._added)
        return self._found

    def _pass_on(self) -> None:
        share, self._share = self._share, []
        if self._processes is None:
            self._found.add(look_at_texts(share))
            return
        self._waiting.append((share, self._processes.look_at(share)))
        if len(self._waiting) > self._most_waiting:
            self._take()

    def _take(self) -> None:
        share, texts = self._waiting.popleft()
        self._found.add(texts.result())
        self._done += len(share)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Processes:
    """Processes that look at shares of records, each fed by a thread of its own."""

    def __init__(self, count: int):
        self._count, self._is_over = count, False
        self._threads = ThreadPoolExecutor(count)
        self._all = [_start() for _ in range(count)]
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for process in self._all:
            self._idle.put(process)

    def end(self) -> None:
        """Whatever they are at; nothing of them is left."""
        self._is_over = True
        for process in self._all:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            with suppress(OSError), process:  # closes its pipes and waits for its end
                pass

    def look_at(self, share: list[Record]) -> "Future[Texts]":
        """What is found in these records, by whichever process is free first."""
        return self._threads.submit(self._look_at, share)

    def _look_at(self, share: list[Record]) -> Texts:
        process = self._idle.get()
        try:
            assert process.stdin is not None and process.stdout is not None
            _send(process.stdin, msgspec.msgpack.encode([_Asked(one.index, one.line, one.conversation) for one in share]))
            answer = _receive(process.stdout)
        except OSError:
            answer = None
        finally:
            self._idle.put(process)
        if answer is not None:
            return msgspec.msgpack.decode(answer, type=Texts)
        return Texts({}, {}, {}, {}) if self._is_over else look_at_texts(share)


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "data.text_processes"],
        cwd=_PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _send(pipe: BinaryIO, content: bytes) -> None:
    pipe.write(len(content).to_bytes(_LENGTH_BYTES, "little") + content)
    pipe.flush()


def _receive(pipe: BinaryIO) -> bytes | None:
    """What was sent, None when the other side has ended."""
    head = pipe.read(_LENGTH_BYTES)
    size = int.from_bytes(head, "little")
    content = pipe.read(size) if len(head) == _LENGTH_BYTES else b""
    return content if head and len(content) == size else None


def main() -> None:
    """Look at shares until nobody sends any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this, who then ends it
    while (asked := _receive(sys.stdin.buffer)) is not None:
        share = msgspec.msgpack.decode(asked, type=list[_Asked])
        found = look_at_texts([Record(one.index, one.line, one.conversation, {}) for one in share])
        _send(sys.stdout.buffer, msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()

"""The texts of many records, folded for searching, in one nameless temporary file: memory does not grow with them.

A search compares letter by letter whatever the case, in any language; it finds records, not places in them.
"""

import os
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator

from data.cache import data_cache
from data.conversation import Conversation

_BLOCK = 4 << 20
"""Bytes compared at a time: other threads get their turn between two."""
_END = b"\0"


class TextIndex:
    """One thread adds, others search what had been flushed. Raises OSError when the disk is full."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(dir=data_cache(), prefix="texts-")  # noqa: SIM115 - lives as long as we do
        self._ends = array("Q")
        self._size = 0
        self._searchable = 0

    def __len__(self) -> int:
        """Texts that a search looks at."""
        return self._searchable

    def add(self, text: str) -> None:
        data = fold(text) + _END
        self._file.write(data)
        self._size += len(data)
        self._ends.append(self._size)

    def flush(self) -> None:
        """Let searches see what was added."""
        self._file.flush()
        self._searchable = len(self._ends)

    def search(self, needle: str, tell: Callable[[], None] = lambda: None) -> Iterator[int]:
        """Numbers of the texts that hold `needle`, upwards. tell: called again and again; it may raise to stop."""
        wanted = fold(needle)
        first, count = 0, self._searchable
        while first < count:
            tell()
            start = self._ends[first - 1] if first else 0
            last = min(max(bisect_right(self._ends, start + _BLOCK, first, count), first + 1), count)
            block = os.pread(self._file.fileno(), self._ends[last - 1] - start, start)
            at = block.find(wanted)
            while at >= 0:
                number = bisect_right(self._ends, start + at, first, last)
                yield number
                at = block.find(wanted, self._ends[number] - start)
            first = last


def searchable_text(conversation: Conversation) -> str:
    """All of a record that a person may look for."""
    texts = [conversation.system, conversation.category, conversation.difficulty]
    for turn in conversation.turns:
        texts += (turn.content, turn.reasoning or "")
    return "\n".join(texts)


def fold(text: str) -> bytes:
    return text.casefold().replace("\0", " ").encode("utf-8", "surrogatepass")

"""Numbers that look random and are the same on every machine and every version of Python.

Python's own generator promises no stable sequence for all its methods; SHA-256 of a counter does. Not for keys.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """A stream of draws that `seeds` alone decide."""

    def __init__(self, *seeds: object) -> None:
        self._prefix = "|".join(map(str, seeds)).encode() + b"|"
        self._counter = 0

    def below(self, bound: int) -> int:
        """An integer from 0 to bound - 1, each with the same probability. bound: 1 to 2^64."""
        fair = 2**64 - 2**64 % bound
        while (drawn := self._word()) >= fair:
            pass
        return drawn % bound

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of `items`, which are not empty."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different places of `items`, in the order drawn."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]

    def bytes(self, count: int) -> bytes:
        """`count` bytes."""
        return bytes(self.below(256) for _ in range(count))

    def _word(self) -> int:
        self._counter += 1
        return int.from_bytes(hashlib.sha256(self._prefix + str(self._counter).encode()).digest()[:8], "big")

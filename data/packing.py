"""Which examples share a row, and in which order rows come: pure functions of lengths, seed and epoch.

The same numbers come out on every machine and Python version, so a position in the data is one integer and a resumed run
computes its place instead of skipping to it. No tokens, no tensors.
"""

import hashlib
from collections.abc import Sequence

LOOK_AHEAD = 128
"""Examples looked at beyond the next one to fill a row: rows get dense while their order stays nearly the epoch's."""


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The numbers 0 to count - 1 in the order of `epoch`: sorted by a hash of seed, epoch and number."""
    stem = hashlib.blake2b(f"danlu order {seed} {epoch} ".encode(), digest_size=8)

    def rank(number: int) -> bytes:
        hashed = stem.copy()
        hashed.update(b"%d" % number)
        return hashed.digest()

    return sorted(range(count), key=lambda number: (rank(number), number))


def pack(lengths: Sequence[int], order: Sequence[int], row_length: int) -> list[list[int]]:
    """Rows of example numbers, each at most `row_length` tokens, every number of `order` exactly once.

    A row takes the next example and then, from the `LOOK_AHEAD` after it, each that still fits. An example longer than a row
    gets one of its own.
    """
    rows: list[list[int]] = []
    waiting: list[int] = []
    taken = 0
    while waiting or taken < len(order):
        refill = order[taken : taken + LOOK_AHEAD + 1 - len(waiting)]
        waiting += refill
        taken += len(refill)
        room, row, left = row_length, [], []
        for number in waiting:
            if not row or lengths[number] <= room:
                row.append(number)
                room -= lengths[number]
            else:
                left.append(number)
        rows.append(row)
        waiting = left
    return rows

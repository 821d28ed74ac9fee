"""Which part of an optimiser step each rank computes: a pure function, so every rank knows all shares without asking.

The rows of a step do not depend on the number of ranks; only who computes them does.
"""

from collections.abc import Sequence

from data.examples import Example
from engine.batches import in_micro_batches


def share_of_step(
    rows: Sequence[Sequence[int]], examples: Sequence[Example], batch_size: int, rank: int, size: int, max_tokens: int | None = None
) -> list[list[Example]]:
    """The micro-batches of `rank` of `size`, each of at most `batch_size` rows and, with one rank, cut into pieces of `max_tokens`.

    Every rank gets equally many: one with fewer rows gets stand-ins, because ranks that share weights pass through the model together.
    rows: example numbers of each row of the step.
    """
    mine = share(rows, [sum(len(examples[index].ids) for index in row) for row in rows], rank, size)
    batches = [
        [examples[number] for number in batch]
        for batch in in_micro_batches(mine, batch_size, max_tokens, lambda number: len(examples[number].ids))
    ]
    if max_tokens is not None:
        return batches
    most = -(-most_rows(len(rows), size) // batch_size)
    return batches + [[stand_in(examples)]] * (most - len(batches))


def share(rows: Sequence[Sequence[int]], tokens: Sequence[int], rank: int, size: int) -> list[Sequence[int]]:
    """The rows of `rank`, in their order: as many as any other rank's or one fewer, with about as many tokens.

    tokens: of each row.
    """
    longest_first = sorted(range(len(rows)), key=lambda number: -tokens[number])
    mine = [number for place, number in enumerate(longest_first) if _taker(place, size) == rank]
    return [rows[number] for number in sorted(mine)]


def most_rows(num_rows: int, size: int) -> int:
    """Rows of the rank that has most."""
    return -(-num_rows // size)


def stand_in(examples: Sequence[Example]) -> Example:
    """One token with nothing supervised: it passes through the model and changes neither loss nor gradient."""
    first = examples[0]
    return Example(ids=first.ids[:1], parts=first.parts[:1], record=first.record, turn=first.turn)


def _taker(place: int, size: int) -> int:
    """Ranks pick in turns, there and back, so that nobody always gets the longest."""
    turn, at = divmod(place, size)
    return at if turn % 2 == 0 else size - 1 - at

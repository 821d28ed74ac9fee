"""How much of each kind of record a part of a split still lacks, and which groups it takes. No hashing, no files."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data.balance import Kind

Candidate = tuple[int, Kind, int]
"""Number, kind and size of a group."""


class Quota:
    """What one part is to get: its ratio of all records, of each value of each kind, and of each combination of them."""

    def __init__(self, ratio: float, kinds: Sequence[Kind]):
        """kinds: of every record."""
        self._cells = {kind: number for number, kind in enumerate(sorted(set(kinds)))}
        values = sorted({(place, value) for kind in self._cells for place, value in enumerate(kind)})
        numbers = {value: number for number, value in enumerate(values)}
        self._values = np.array([[numbers[pair] for pair in enumerate(kind)] for kind in self._cells], dtype=np.int64)
        counts = np.zeros(len(self._cells))
        for kind in kinds:
            counts[self._cells[kind]] += 1
        self._cells_lack = ratio * counts
        self._values_lack = np.zeros(len(values))
        for column in self._values.T:
            np.add.at(self._values_lack, column, self._cells_lack)
        self._total = ratio * len(kinds)

    def take(self, kind: Kind, size: int) -> None:
        """Count a group of `size` records of `kind` in."""
        cell = self._cells[kind]
        self._cells_lack[cell] -= size
        self._values_lack[self._values[cell]] -= size
        self._total -= size

    def choose(self, candidates: Iterable[Candidate]) -> list[int]:
        """Numbers of the groups to take, in the order of preference of `candidates`.

        One after another, always the first of the kind that lacks most, until the total is as near as it gets. A group larger than
        what is lacking waits until all others had their turn: fifty copies of a short record would leave no room for long ones.
        """
        passed_over: list[Candidate] = []
        chosen = [*self._fill(candidates, 1.0, passed_over)]
        return [*chosen, *self._fill(passed_over, 2.0, [])]

    def _fill(self, candidates: Iterable[Candidate], most: float, passed_over: list[Candidate]) -> Iterator[int]:
        """The groups no larger than `most` times what is lacking; up to twice as large still brings it nearer."""
        waiting: defaultdict[int, deque[Candidate]] = defaultdict(deque)
        for candidate in candidates:
            waiting[self._cells[candidate[1]]].append(candidate)
        has_any = np.zeros(len(self._cells), dtype=bool)
        has_any[list(waiting)] = True
        while self._total >= 0.5 and has_any.any():
            lacking = self._cells_lack + self._values_lack[self._values].sum(axis=1)
            cell = int(np.where(has_any, lacking, -np.inf).argmax())
            candidate = number, kind, size = waiting[cell].popleft()
            has_any[cell] = bool(waiting[cell])
            if size == 1 or size <= most * min(self._total, self._values_lack[self._values[cell]].min()):
                self.take(kind, size)
                yield number
            else:
                passed_over.append(candidate)

"""What a data file gives: records, and faults that name line, field and cure. Nothing is read here."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from data.conversation import Conversation


class Record(Struct, frozen=True):
    """index: place in `Dataset.records`.  line: 1-based, where the record starts.  raw: as it stood in the file."""

    index: int
    line: int
    conversation: Conversation
    raw: dict[str, Any]


class Fault(Struct, frozen=True):
    """field: what it is about, '' for the whole record.  code: stable name.  text: one sentence with value and cure.
    position: place in the file among all values, valid or not.  record: index of the usable record a remark is about, else -1."""

    line: int
    field: str
    code: str
    text: str
    position: int = -1
    record: int = -1


class FaultLog(Sequence[Fault]):
    """Faults in file order. Only the first `KEPT` of each code are held, so that a file of nothing but faults takes no memory;
    `counts` counts them all. One thread appends while others read."""

    KEPT = 10_000

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def append(self, fault: Fault) -> None:
        self.counts[fault.code] += 1
        if self.counts[fault.code] <= self.KEPT:
            self._faults.append(fault)

    def __len__(self) -> int:
        return len(self._faults)

    def __getitem__(self, place):  # type: ignore[override] - a place gives a fault, a slice gives a list
        return self._faults[place]

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)


class RecordTexts(Sequence[str]):
    """What each record asks and answers, made when asked for: duplicates are looked for in it."""

    def __init__(self, records: Sequence[Record]):
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, place):  # type: ignore[override] - a place gives a text, a slice gives a list
        if isinstance(place, slice):
            return [record.conversation.text() for record in self._records[place]]
        return self._records[place].conversation.text()

    def __iter__(self) -> Iterator[str]:
        return (record.conversation.text() for record in self._records)


class ChainedTexts(Sequence[str]):
    """Two sequences of texts one after the other."""

    def __init__(self, first: Sequence[str], second: Sequence[str]):
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, place):  # type: ignore[override] - single places only
        return self._first[place] if place < len(self._first) else self._second[place - len(self._first)]

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from self._second

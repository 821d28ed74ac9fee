"""A data file on disk as a growing sequence of records: opened at once, indexed in the background, never held whole.

`open_file` (in `data.reading`) returns after the first rows; `index` goes on to the end in whatever thread calls it. Records past
the first `KEPT_BYTES` are read again from disk when asked for, so memory hardly grows with the file: 70 bytes a record. One
thread indexes; any others may read what is there. Nothing is drawn, tokenised or compared here.
"""

import json
import threading
from array import array
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from data.conversation import Conversation
from data.digests import file_sha256
from data.errors import DataError
from data.facts import Facts
from data.formats import Problem, convert, detect, in_their_words, records_in, rename
from data.json_scan import Span, spans
from data.json_values import Value, decode
from data.record import Fault, FaultLog, Record
from data.source import Source

KEPT_BYTES = 32 << 20
"""Records of this much of the file stay as objects; beyond, a few recent ones do."""
_RECENT = 1024
_TELL_EVERY = 256

Progress = Callable[[int, int], None]
"""Called with bytes of the file done and in all; it may raise to stop."""


class Dataset:
    """The records of one file. Made by `data.reading.open_file` and `read_file`.

    records: the usable ones known so far; `len`, `[index]`, `[a:b]` (a list) and iteration work at any moment.
    refused: the places of all other values.
    faults: of values that gave no record.  remarks: on records that stay usable.  invalid: values that gave no record.
    encoding: name of the text encoding.  is_complete: whether all of the file (or `limit` records) has been looked at.
    """

    def __init__(self, path: Path, source: Source, format: str, strict: bool, limit: int | None, columns: Sequence[str]):
        self.path, self.encoding, self.container = path, source.encoding, source.container
        self.faults, self.remarks = FaultLog(), FaultLog()
        self.invalid = 0
        self.is_complete = False
        self.columns = tuple(columns)
        self._layout, self._strict, self._limit = format, strict, limit
        self._source = source
        self._spans: Iterator[Span] = spans(source, self._is_record)
        self._positions = 0
        self._formats: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.records = Records(self)
        self.refused = Places()

    @property
    def format(self) -> str:
        """The layout most records have, '' before the first."""
        return self._formats.most_common(1)[0][0] if self._formats else ""

    @property
    def values(self) -> int:
        """Records of the file known so far, usable or not."""
        return self._positions

    @property
    def expected(self) -> int:
        """About how many usable records the file has, by those known so far."""
        known = len(self.records)
        if self.is_complete or not known:
            return known
        offset, size, _ = self.records.places.at(known - 1)
        return known * self._source.total // max(min(self._source.done, offset + size), 1)

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of the file looked at, and in all."""
        return self._source.total if self.is_complete else self._source.done, self._source.total

    @property
    def sha256(self) -> str:
        """Of the file's bytes; reads the file the first time it is asked for."""
        return file_sha256(self.path)

    def convert(self, raw: dict[str, Any]) -> tuple[Conversation | None, list[Problem]]:
        """A record of this file, or one that a person changed, as `data.formats.convert` reads it."""
        return self._convert(rename(raw, self.columns))

    def _convert(self, renamed: dict[str, Any]) -> tuple[Conversation | None, list[Problem]]:
        conversation, problems = convert(renamed, self._layout)
        return conversation, [in_their_words(problem, self.columns) for problem in problems]

    @property
    def identity(self) -> tuple[object, ...]:
        """What its records depend on: the file's content and how it was read."""
        return (self.sha256, self._layout, self.columns, self._limit)

    def index(self, tell: Progress | None = None) -> None:
        """Look at the rest of the file. What `tell` raises comes through, and a later call goes on where it stopped.

        Raises DataError for a file without one usable record, for one that cannot be read on, and, when strict, for a fault.
        """
        self._take(lambda: False, tell)
        if not self.records:
            raise self._no_record()

    def read_on(self) -> Iterator[Record]:
        """All records, those of the rest of the file as they are found, so that nothing is read twice. Raises as `index`."""
        known = len(self.records)
        yield from islice(self.records, known)
        while known < len(self.records) or not self.is_complete:
            found = self._take(partial(self._has_more_than, known), None) or self.records[known:]
            yield from found
            known += len(found)
        self.index()

    def _has_more_than(self, count: int) -> bool:
        return len(self.records) > count

    def index_some(self, enough: Callable[[], bool]) -> None:
        """Look at the file until `enough()` or its end. Raises DataError when strict, for the first fault."""
        self._take(enough, None)

    def load(self, offset: int, size: int, place: int) -> tuple[Conversation, dict[str, Any]]:
        """The record that was found there when the file was indexed. Raises DataError when the file has been changed since."""
        value = decode(self._source.read(offset, size))
        inner = records_in(value.value)
        raw = inner[place] if 0 <= place < len(inner) else None
        conversation = self.convert(raw)[0] if isinstance(raw, dict) else None
        if conversation is None or raw is None:
            raise DataError(f"{self.path}: was changed while it was open; open it again")
        return conversation, raw

    def raw_at(self, position: int) -> dict[str, Any] | None:
        """The object at a position among all values, usable or not; None where there is no object."""
        if (index := self.records.places.find(position)) is not None:
            return self.records[index].raw
        offset, size, place = self.refused.of(position)
        inner = records_in(decode(self._source.read(offset, size)).value) if size else []
        raw = inner[place] if place < len(inner) else None
        return raw if isinstance(raw, dict) else None

    def text_at(self, position: int) -> str:
        """What stands in the file for a value that gave no record; '' where that cannot be told from what is around it."""
        offset, size, _ = self.refused.of(position)
        return self._source.read(offset, size).decode("utf-8", "replace")

    def _is_record(self, value: Any) -> bool:
        return isinstance(value, dict) and detect(rename(value, self.columns)) is not None

    def _take(self, enough: Callable[[], bool], tell: Progress | None) -> list[Record]:
        """Look at values until `enough()`; returns the records of the last one."""
        found: list[Record] = []
        with self._lock:
            while not self.is_complete and not enough():
                if self._limit is not None and len(self.records) >= self._limit:
                    self.is_complete = True
                    break
                if tell and self._positions % _TELL_EVERY == 0:
                    tell(*self.progress)
                span = next(self._spans, None)
                if span is None:
                    self.is_complete = True
                else:
                    found = [*self._take_span(span)]
        if tell:
            tell(*self.progress)
        return found

    def _take_span(self, span: Span) -> Iterator[Record]:
        value = Value(fault=span.fault) if span.fault else decode(span.data)
        if value.fault is not None:
            self._refuse(span, 0, [Problem(value.fault.field, value.fault.code, value.fault.text)])
            return
        for place, raw in enumerate(records_in(value.value)):
            if self._limit is not None and len(self.records) >= self._limit:
                return
            if isinstance(raw, dict):
                yield from self._take_raw(span, place, raw)
            else:
                text = f"a record must be an object, but this is {json.dumps(raw, ensure_ascii=False)[:40]}"
                self._refuse(span, place, [Problem("", "not_an_object", text)])

    def _take_raw(self, span: Span, place: int, raw: dict[str, Any]) -> Iterator[Record]:
        renamed = rename(raw, self.columns)
        conversation, problems = self._convert(renamed)
        if conversation is None:
            self._refuse(span, place, problems)
            return
        number = len(self.records)
        for problem in problems:
            self.remarks.append(Fault(span.line, problem.field, problem.code, problem.text, self._positions, number))
        self._formats[(detect(renamed) or "") if self._layout == "auto" else self._layout] += 1
        record = Record(number, span.line, conversation, raw)
        self.records.append(span, place, self._positions, record)
        self._positions += 1
        yield record

    def _refuse(self, span: Span, place: int, problems: Sequence[Problem]) -> None:
        for problem in problems:
            if problem.is_remark:
                continue
            if self._strict:
                field = "" if not problem.field or problem.field in problem.text else f" (field {problem.field})"
                raise DataError(f"{self.path}:{span.line}: {problem.text}{field}")
            self.faults.append(Fault(span.line, problem.field, problem.code, problem.text, self._positions))
        self.refused.append(span, place, self._positions)
        self._positions += 1
        self.invalid += 1

    def _no_record(self) -> DataError:
        """Why nothing could be used, with the first faults as examples."""
        if not self.faults:
            return DataError(f"{self.path}: holds no record; give a file with one record a line, or a JSON array of records")
        shown = "\n".join(f"{self.path}:{fault.line}: {fault.text}" for fault in self.faults[:3])
        layout = f"; data.format is {self._layout!r}, 'auto' detects the layout" if self._layout != "auto" else ""
        none = f"none of its {self.invalid} records can be used" if self.invalid > 1 else "its only record cannot be used"
        return DataError(f"{self.path}: {none}{layout}; the first reasons:\n{shown}")


class Places:
    """Where values lie in the source, in file order, 24 bytes each. One thread appends while others read."""

    def __init__(self) -> None:
        self._offsets, self._sizes = array("Q"), array("I")
        self._lines, self._inner, self._positions = array("I"), array("I"), array("I")

    def append(self, span: Span, inner: int, position: int) -> None:
        """inner: place among the records inside the value.  position: place among all values of the file."""
        self._offsets.append(span.offset)
        self._sizes.append(len(span.data))
        self._lines.append(span.line)
        self._inner.append(inner)
        self._positions.append(position)

    def __len__(self) -> int:
        return len(self._positions)

    def line(self, index: int) -> int:
        return self._lines[index]

    def position(self, index: int) -> int:
        return self._positions[index]

    def find(self, position: int) -> int | None:
        """Index of the value at a position, None when it is not one of these."""
        index = bisect_left(self._positions, position)
        return index if index < len(self._positions) and self._positions[index] == position else None

    def at(self, index: int) -> tuple[int, int, int]:
        """Offset, size in bytes, and place inside the value."""
        return self._offsets[index], self._sizes[index], self._inner[index]

    def of(self, position: int) -> tuple[int, int, int]:
        """The same for a position that is one of these."""
        index = self.find(position)
        assert index is not None, position
        return self.at(index)


class Records(Sequence[Record]):
    """The usable records of a `Dataset`: their places and `facts`; the objects of the first `KEPT_BYTES` and some recent ones."""

    def __init__(self, dataset: Dataset):
        self._dataset = dataset
        self.places = Places()
        self.facts = Facts()
        self._kept: list[Record] = []
        self._kept_bytes = 0
        self._recent: OrderedDict[int, Record] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def append(self, span: Span, place: int, position: int, record: Record) -> None:
        self.places.append(span, place, position)
        self.facts.append(record.conversation)
        if self._kept_bytes < KEPT_BYTES and len(self._kept) == self._count:
            self._kept.append(record)
            self._kept_bytes += len(span.data)
        self._count += 1  # last: a reader in another thread never sees a record that is not all there

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place):  # type: ignore[override] - a place gives a record, a slice gives a list
        if isinstance(place, slice):
            return [self._at(index) for index in range(*place.indices(self._count))]
        index = place + self._count if place < 0 else place
        if not 0 <= index < self._count:
            raise IndexError(place)
        return self._at(index)

    def __iter__(self) -> Iterator[Record]:
        for index in range(self._count):
            yield self._kept[index] if index < len(self._kept) else self._load(index)

    def line(self, index: int) -> int:
        """Line of a record, without reading it."""
        return self.places.line(index)

    def _at(self, index: int) -> Record:
        if index < len(self._kept):
            return self._kept[index]
        with self._lock:
            if index in self._recent:
                self._recent.move_to_end(index)
                return self._recent[index]
        record = self._load(index)
        with self._lock:
            self._recent[index] = record
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        return record

    def _load(self, index: int) -> Record:
        conversation, raw = self._dataset.load(*self.places.at(index))
        return Record(index, self.places.line(index), conversation, raw)

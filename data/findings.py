"""What was found out about a data file, kept by content: a second opening of the same content costs nothing.

Each finding is made by its own module; here the records are passed by all of them, and what they find is remembered under
everything it depends on (`data.cache`).
"""

import io
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import msgspec
import numpy as np

from data.cache import cache_key, data_cache, write_whole
from data.contamination import Overlap, contaminated
from data.dataset import Dataset
from data.examples import ExampleSettings
from data.lengths import Lengths, count_lengths
from data.near_duplicates import Signatures, near_duplicate_groups
from data.record import Record, RecordTexts
from data.text_checks import Texts
from data.text_processes import TextLooker
from data.tokenizer import Tokenizer

Progress = Callable[[str, int, int], None]
_TELL_EVERY = 64


class LengthTable(Sequence[Lengths]):
    """Lengths of all examples. columns: (N, 4) int32 of record, prompt, thinking, answer."""

    def __init__(self, columns: np.ndarray):
        self.columns = columns

    @property
    def whole(self) -> np.ndarray:
        """(N,) tokens of each example."""
        return self.columns[:, 1:].sum(axis=1)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, place):  # type: ignore[override] - a place gives lengths, a slice gives a list
        if isinstance(place, slice):
            return [Lengths(*row) for row in self.columns[place].tolist()]
        return Lengths(*self.columns[place].tolist())

    def __iter__(self):
        return (Lengths(*row) for start in range(0, len(self), 4096) for row in self.columns[start : start + 4096].tolist())


class Survey(NamedTuple):
    """lengths: None without a tokenizer.  groups: the near-duplicate group of each record."""

    lengths: LengthTable | None
    groups: list[int]
    texts: Texts


def survey(
    dataset: Dataset, tokenizer: Tokenizer | None = None, settings: ExampleSettings | None = None, progress: Progress | None = None
) -> Survey:
    """Token lengths, groups and what the texts show, in one pass over the records: each is read and taken apart once.

    While a thread encodes and other processes look at texts, the next records are read, laid out and their signatures made here.
    progress: called with a stage (records, duplicates, texts), records done and in all; it may raise to stop.
    Raises TemplateError, and DataError as `Dataset.index` does.
    """
    tell, records = progress or (lambda stage, done, total: None), dataset.records
    settings = settings or ExampleSettings()
    lengths_key = _key("lengths", dataset, tokenizer.fingerprint, settings) if tokenizer else ""
    lengths = _recall_array(lengths_key) if tokenizer else None
    groups, texts = _recall_array(_key("groups", dataset)), _recall(_key("texts", dataset), Texts)
    signatures = None if groups is not None else Signatures()
    with nullcontext() if texts is not None else TextLooker(dataset.expected) as looker:
        sinks = [looker.add] if looker else []
        if signatures:
            sinks.append(lambda record: signatures.add(record.conversation.text()))
        passing = _passing(dataset.read_on(), sinks, lambda done: tell("records", done, dataset.expected))
        if tokenizer and lengths is None:
            lengths = _rows(count_lengths(passing, tokenizer, settings, records.line))
            _keep_array(lengths_key, lengths)
        elif sinks:
            deque(passing, maxlen=0)
        dataset.index()
        if signatures:
            # While the processes look at the last texts.
            found = signatures.groups(RecordTexts(records), lambda done, total: tell("duplicates", done, total))
            groups = _kept_groups(dataset, found)
        if looker:
            texts = looker.texts(lambda done, total: tell("texts", done, total))
            _keep(_key("texts", dataset), texts)
    assert texts is not None and groups is not None
    return Survey(LengthTable(lengths) if lengths is not None else None, groups.tolist(), texts)


def groups_of(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> list[int]:
    """The near-duplicate group of each record of a file, where nothing else is asked for."""
    groups = _recall_array(_key("groups", dataset))
    if groups is None:
        groups = _kept_groups(dataset, near_duplicate_groups(RecordTexts(dataset.records), progress))
    return groups.tolist()


def contamination_of(dataset: Dataset, evaluation: Dataset, progress: Callable[[int, int], None] | None = None) -> list[Overlap]:
    """The records of a file that hold a question of an evaluation file."""
    key = _key("contamination", dataset, evaluation.identity)
    found = _recall(key, list[Overlap])
    if found is None:
        found = contaminated(dataset.records, evaluation.records, progress)
        _keep(key, found)
    return found


def _kept_groups(dataset: Dataset, found: Sequence[int]) -> np.ndarray:
    groups = np.array(found, dtype=np.int32)
    _keep_array(_key("groups", dataset), groups)
    return groups


def _passing(records: Iterable[Record], sinks: Sequence[Callable[[Record], None]], tell: Callable[[int], None]) -> Iterator[Record]:
    """The records, each given to all sinks on its way."""
    for record in records:
        if record.index % _TELL_EVERY == 0:
            tell(record.index)
        for sink in sinks:
            sink(record)
        yield record


def _rows(lengths: Iterable[Lengths]) -> np.ndarray:
    rows = array("i")
    for one in lengths:
        rows.extend(one)
    return np.array(rows, dtype=np.int32).reshape(-1, 4)


def _key(name: str, dataset: Dataset, *parts: object) -> str:
    return cache_key(name, dataset.identity, *parts)


def _recall(key: str, type: Any) -> Any:
    try:
        return msgspec.msgpack.decode((data_cache() / f"{key}.msgpack").read_bytes(), type=type)
    except (OSError, msgspec.MsgspecError):
        return None


def _keep(key: str, value: Any) -> None:
    write_whole(data_cache() / f"{key}.msgpack", msgspec.msgpack.encode(value))


def _recall_array(key: str) -> np.ndarray | None:
    try:
        return np.load(data_cache() / f"{key}.npy", allow_pickle=False)
    except (OSError, ValueError):
        return None


def _keep_array(key: str, value: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, value, allow_pickle=False)
    write_whole(data_cache() / f"{key}.npy", content.getvalue())

"""What was found out about a data file, kept by content: a second opening of the same content costs nothing.

Each finding is computed by its own module; here it is only remembered, under everything it depends on (`data.cache`).
"""

import io
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from data.cache import cache_key, data_cache, write_whole
from data.dataset import Dataset
from data.examples import ExampleSettings
from data.lengths import Lengths, count_lengths
from data.near_duplicates import near_duplicate_groups
from data.record import RecordTexts
from data.tokenizer import Tokenizer

Progress = Callable[[int, int], None]


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


def lengths_of(dataset: Dataset, tokenizer: Tokenizer, settings: ExampleSettings, progress: Progress | None = None) -> LengthTable:
    """`data.lengths.count_lengths` of a file. Raises TemplateError."""

    def make() -> np.ndarray:
        rows = array("i")
        for one in count_lengths(dataset.records, tokenizer, settings, progress):
            rows.extend(one)
        return np.array(rows, dtype=np.int32).reshape(-1, 4)

    return LengthTable(_kept_array(("lengths", dataset.identity, tokenizer.fingerprint, settings), make))


def groups_of(dataset: Dataset, progress: Progress | None = None) -> list[int]:
    """`data.near_duplicates.near_duplicate_groups` of a file."""

    def make() -> np.ndarray:
        return np.array(near_duplicate_groups(RecordTexts(dataset.records), progress), dtype=np.int32)

    return _kept_array(("groups", dataset.identity), make).tolist()


def kept(dataset: Dataset, name: str, type: Any, make: Callable[[], Any]) -> Any:
    """What `make` gives, a value that msgspec can write and read as `type`, remembered for the dataset under `name`."""
    path = data_cache() / f"{cache_key(name, dataset.identity)}.msgpack"
    try:
        value = msgspec.msgpack.decode(path.read_bytes(), type=type)
    except (OSError, msgspec.MsgspecError):
        value = make()
        write_whole(path, msgspec.msgpack.encode(value))
    return value


def _kept_array(key: tuple[object, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    path = data_cache() / f"{cache_key(*key)}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        made = make()
    content = io.BytesIO()
    np.save(content, made, allow_pickle=False)
    write_whole(path, content.getvalue())
    return made

"""Tokenised examples on disk, mapped into memory: a training set of any size takes no Python objects, and is tokenised once.

A store is a folder of plain arrays in the data cache, whole or not there, named by everything its tokens depend on. Which records
are for training is not its business: `select` gives a view.
"""

import json
import os
import shutil
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from data.cache import data_cache, make_room
from data.errors import DataError
from data.examples import Example

_FILES = {"ids": np.int32, "parts": np.uint8, "lengths": np.int64, "supervised": np.int64, "records": np.int32, "turns": np.int32}


class ExampleStore(Sequence[Example]):
    """Examples of one folder, all or some, in order; each is made when asked for.

    counts: of `ExampleBuilder` when it was written.  lengths, supervised, records: (N,) tokens, supervised tokens and record of each.
    """

    def __init__(self, folder: Path, chosen: np.ndarray | None = None):
        columns = {name: _column(folder / f"{name}.bin", dtype) for name, dtype in _FILES.items()}
        self._folder, self._ids, self._parts, self._turns = folder, columns["ids"], columns["parts"], columns["turns"]
        self._ends = np.cumsum(columns["lengths"])
        self._chosen = np.arange(len(self._ends)) if chosen is None else chosen
        self.lengths: np.ndarray = columns["lengths"][self._chosen]
        self.supervised: np.ndarray = columns["supervised"][self._chosen]
        self.records: np.ndarray = columns["records"][self._chosen]
        self.counts = Counter(json.loads((folder / "counts.json").read_text(encoding="utf-8")))

    def select(self, records: Iterable[int]) -> "ExampleStore":
        """The examples of these records."""
        wanted = np.fromiter(records, dtype=np.int64)
        return ExampleStore(self._folder, self._chosen[np.isin(self.records, wanted)])

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, place):  # type: ignore[override] - a place gives an example, a slice gives a view
        if isinstance(place, slice):
            return ExampleStore(self._folder, self._chosen[place])
        number = int(self._chosen[place])
        ids, parts = self.stretch(place)
        return Example(array("i", ids.tobytes()), parts.tobytes(), int(self.records[place]), int(self._turns[number]))

    def stretch(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and parts of one example, as they lie in the file."""
        number = self._chosen[place]
        end = int(self._ends[number])
        start = end - int(self.lengths[place])
        return self._ids[start:end], self._parts[start:end]


def open_or_write(name: str, write: Callable[[Callable[[Iterable[Example]], None]], Counter[str]]) -> ExampleStore:
    """The store of that name, written first if it is not there. write: calls what it is given with examples, returns the counts.

    Raises DataError when the disk is full, and what `write` raises; then nothing is left behind.
    """
    folder = data_cache() / f"{name}.examples"
    if (folder / "counts.json").is_file():
        os.utime(folder)
        return ExampleStore(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _write(temporary, write)
        # Another process may have written the same in the meantime.
        if not folder.is_dir():
            temporary.rename(folder)
    except OSError as error:
        if not (folder / "counts.json").is_file():
            place = folder.parent
            raise DataError(f"{place}: cannot be written ({error.strerror}); free space there or set XDG_CACHE_HOME") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    make_room()
    return ExampleStore(folder)


def _write(folder: Path, write: Callable[[Callable[[Iterable[Example]], None]], Counter[str]]) -> None:
    folder.mkdir(mode=0o700)
    files = {name: (folder / f"{name}.bin").open("wb") for name in _FILES}
    try:

        def add(examples: Iterable[Example]) -> None:
            for example in examples:
                row = (len(example.ids), example.supervised_tokens, example.record, example.turn)
                files["ids"].write(example.ids.tobytes())
                files["parts"].write(example.parts)
                for name, value in zip(("lengths", "supervised", "records", "turns"), row, strict=True):
                    files[name].write(np.array(value, dtype=_FILES[name]).tobytes())

        counts = write(add)
    finally:
        for file in files.values():
            file.close()
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def _column(path: Path, dtype: type) -> np.ndarray:
    """The file mapped into memory; an empty one cannot be."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype=dtype)

"""A data file with a person's edits written as a new file, whole or not at all. The file that was read is never touched.

JSON lines, or one array where the new name ends in .json; UTF-8. What comes out is read by `data.reading` like any other file.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from data.dataset import Dataset
from data.edits import Edits
from data.errors import DataError

_TELL_EVERY = 256


class Outcome(NamedTuple):
    """records: written.  changed: of those, not as in the file.  left_out: by the edits.  lost: no JSON object, so nothing to write."""

    records: int
    changed: int
    left_out: int
    lost: int


def save(
    dataset: Dataset, edits: Edits, target: Path, overwrite: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> Outcome:
    """Write every record in file order. progress: called with records done and in all; it may raise to stop, nothing is left then.

    Raises DataError for the file that was read, for one that is there already (unless `overwrite`), and when the disk refuses.
    """
    _check(dataset.path, target, overwrite)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        outcome = _write(dataset, edits, temporary, target.suffix == ".json", progress)
        _publish(temporary, target, overwrite)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror}); choose another place or free space") from error
    finally:
        temporary.unlink(missing_ok=True)
    return outcome


def _check(source: Path, target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise DataError(f"{target}: is a folder; give the new file a name")
    if target.exists() and target.samefile(source):
        raise DataError(f"{target}: is the file being edited, which is never changed; choose another name")
    if target.exists() and not overwrite:
        raise DataError(f"{target}: is there already; choose another name")
    if not target.parent.is_dir():
        raise DataError(f"{target.parent}: no such folder; make it, or choose another place")


def _write(dataset: Dataset, edits: Edits, path: Path, is_array: bool, progress: Callable[[int, int], None]) -> Outcome:
    before, between, after = ("[\n", ",\n", "\n]\n") if is_array else ("", "\n", "\n")
    records = changed = left_out = lost = 0
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(before)
        for position in range(dataset.values):
            if position % _TELL_EVERY == 0:
                progress(position, dataset.values)
            change = edits.of(position)
            if change and change.is_left_out:
                left_out += 1
                continue
            value = change.value if change else dataset.raw_at(position)
            if value is None:
                lost += 1
                continue
            file.write((between if records else "") + json.dumps(value, ensure_ascii=False))
            records += 1
            changed += change is not None
        file.write(after)
        file.flush()
        os.fsync(file.fileno())
    return Outcome(records, changed, left_out, lost)


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give the finished file its name. A name that somebody took meanwhile is not taken from them."""
    if not overwrite:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

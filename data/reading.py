"""Data files opened and read: JSON in any arrangement, CSV, TSV, Parquet, in any encoding of the field.

`open_file` returns after the first rows, whatever the size; `read_file` goes to the end. What is held of a file, and how the rest
is reached, is `data.dataset`. No tokens, no duplicates, no cleaning of texts here.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from data.dataset import Dataset, Progress
from data.formats import FORMATS, check_columns
from data.record import Fault, Record
from data.source import open_source

FIRST_ROWS = 64
FIRST_ROWS_S = 0.2
"""Opening a file looks at so many records, or for so long."""

__all__ = ["Dataset", "Fault", "Progress", "Record", "open_file", "read_file"]


def open_file(
    path: Path | str, format: str = "auto", strict: bool = False, limit: int | None = None, columns: Sequence[str] = ()
) -> Dataset:
    """The file with its first rows; `Dataset.index` reads on.

    limit: at most so many records.  columns: "name=theirs" pairs, the fields to be read under Danlu's names.
    Raises DataError for a file that is missing, a folder, empty, or no data file, and, when `strict`, for a fault in the first rows.
    """
    assert format in ("auto", *FORMATS), format
    check_columns(columns)
    path = Path(path)
    dataset = Dataset(path, open_source(path), format, strict, limit, columns)
    started = time.monotonic()

    def enough() -> bool:
        return len(dataset.records) >= FIRST_ROWS or time.monotonic() - started > FIRST_ROWS_S

    dataset.index_some(enough)
    return dataset


def read_file(
    path: Path | str, format: str = "auto", strict: bool = False, limit: int | None = None, columns: Sequence[str] = ()
) -> Dataset:
    """The file, looked at to its end. Raises as `open_file`, and DataError for a file without one usable record."""
    dataset = open_file(path, format, strict, limit, columns)
    dataset.index()
    return dataset

"""Parquet files as JSON lines, a batch of rows at a time. Needs pyarrow, which comes with `danlu[parquet]`."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from data.errors import DataError

_ROWS = 1000


def is_parquet(head: bytes) -> bool:
    return head.startswith(b"PAR1")


def parquet_as_json(path: Path) -> Iterator[tuple[bytes, int]]:
    """One JSON object a row, and how much of the file's size that stands for.

    Raises DataError without pyarrow and for a broken file; a value that JSON does not know (a time, bytes) is written as text.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile  # pyright: ignore[reportMissingImports] - optional
    except ImportError:
        raise DataError(
            f"{path}: is a Parquet file, and pyarrow, which reads them, is not installed; pip install 'danlu[parquet]', or save the "
            "data as JSON lines"
        ) from None
    return _rows(path, ParquetFile, ArrowException)


def _rows(path: Path, parquet_file, failure: type[Exception]) -> Iterator[tuple[bytes, int]]:
    size = path.stat().st_size
    try:
        with parquet_file(path) as file:
            total, done = file.metadata.num_rows, 0
            for batch in file.iter_batches(batch_size=_ROWS):
                lines = [msgspec.json.encode(row, enc_hook=str) for row in batch.to_pylist()]
                done += len(lines)
                yield b"\n".join(lines) + b"\n", size * done // max(total, 1)
    except (failure, OSError) as error:
        raise DataError(f"{path}: is a broken Parquet file ({error}); write or download it again") from error

"""The bytes of a data file as UTF-8 JSON, whatever they are on disk, in pieces and again at any place.

A UTF-8 JSON file is read where it lies. Any other encoding, CSV, TSV and Parquet are written, a piece at a time, into a nameless
temporary file that disappears with the process: one way to find and read records, and bounded memory. Where values start and end
is `data.json_scan`.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data import delimited, encoding
from data.cache import data_cache
from data.errors import DataError
from data.parquet import is_parquet, parquet_as_json

PIECE = 1 << 20
_FIRST_PIECE = 1 << 17
"""Little first, so that the first rows come at once."""
_SAMPLE = 1 << 20
_WINDOWS, _WINDOW = 64, 1 << 14
"""Pieces of a large file looked at for its encoding while all that was seen is ASCII."""
_FOREIGN = {
    b"\x1f\x8b": "is compressed by gzip; unpack it: gunzip",
    b"BZh": "is compressed by bzip2; unpack it: bunzip2",
    b"\xfd7zXZ\0": "is compressed by xz; unpack it: unxz",
    b"\x28\xb5\x2f\xfd": "is compressed by Zstandard; unpack it: unzstd",
    b"PK\x03\x04": "is a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"ARROW1": "is an Arrow file; save it as Parquet or as JSON lines",
    b"version https://git-lfs": "is only Git's pointer to a large file; fetch the file itself: git lfs pull",
    b"<": "is HTML or XML, perhaps the page of a failed download; fetch the file again, or save the data as JSON lines",
}
"""How files begin that are no data yet, and what to do with them."""


class Source:
    """encoding: name.  container: json, csv, tsv or parquet.  total: bytes of the file.  done: of those, how many have been read.
    start: offset of the first byte."""

    def __init__(self, path: Path, fd: int, encoding: str, container: str, start: int, filling: Iterator[tuple[bytes, int]] | None):
        """filling: further UTF-8 bytes and how much of the file they took; None when the file itself is read."""
        self.path, self.encoding, self.container, self.start = path, encoding, container, start
        self.total = os.fstat(fd).st_size
        self.done = 0
        self._fd, self._filling = fd, filling
        self._spool = tempfile.TemporaryFile(dir=data_cache(), prefix="spool-") if filling else None  # noqa: SIM115 - lives as long as we do
        self._read_fd = self._spool.fileno() if self._spool else fd

    def pieces(self) -> Iterator[bytes]:
        """All bytes from the first after a BOM on, once. Raises DataError when the disk fails or is full."""
        if self._filling is not None:
            yield from self._filled()
            return
        at, size = self.start, _FIRST_PIECE
        while piece := self.read(at, size):
            at, size = at + len(piece), PIECE
            self.done = at
            yield piece

    def read(self, offset: int, size: int) -> bytes:
        """Bytes that `pieces` has given; offset: as counted there, from `start` on. Raises DataError when the disk fails."""
        try:
            return os.pread(self._read_fd, size, offset)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read on ({error.strerror}); check the disk") from error

    def __del__(self) -> None:
        os.close(self._fd)

    def _filled(self) -> Iterator[bytes]:
        assert self._filling is not None and self._spool is not None
        for piece, done in self._filling:
            try:
                self._spool.write(piece)
                self._spool.flush()
            except OSError as error:
                place = data_cache()
                raise DataError(f"{self.path}: {place} is full or broken ({error.strerror}); free space or set XDG_CACHE_HOME") from error
            self.done = done
            yield piece


def open_source(path: Path) -> Source:
    """Raises DataError for a file that is missing, a folder, empty, unreadable, or no data file."""
    fd = _open(path)
    try:
        return _source(path, fd)
    except BaseException:
        os.close(fd)
        raise


def _source(path: Path, fd: int) -> Source:
    head, total = os.pread(fd, _SAMPLE, 0), os.fstat(fd).st_size
    begins = head[:256].lstrip()
    if foreign := next((what for magic, what in _FOREIGN.items() if begins.startswith(magic)), None):
        raise DataError(f"{path}: {foreign}")
    if is_parquet(head):
        return Source(path, fd, encoding.UTF8, "parquet", 0, parquet_as_json(path))
    if not head.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n") and total <= len(head):
        raise DataError(f"{path}: the file is empty; give a file with one record a line, or a JSON array of records")
    name, start = _encoding(fd, head, total)
    text = encoding.decoder(name).decode(head[start:])
    container = delimited.container_of(path.suffix, text)
    if container != "json":
        return Source(path, fd, name, container, 0, delimited.as_json(path, _texts(fd, name, start), delimited.dialect(text, container)))
    if name == encoding.UTF8:
        return Source(path, fd, name, container, start, None)
    return Source(path, fd, name, container, 0, ((text.encode("utf-8", "surrogatepass"), done) for text, done in _texts(fd, name, start)))


def _encoding(fd: int, head: bytes, total: int) -> tuple[str, int]:
    step = max((total - _SAMPLE) // _WINDOWS, _WINDOW)
    return encoding.detect(head, (os.pread(fd, _WINDOW, place) for place in range(_SAMPLE, total, step)))


def _texts(fd: int, name: str, start: int) -> Iterator[tuple[str, int]]:
    """The file's text in pieces, each with the bytes done so far."""
    decoder, at, size = encoding.decoder(name), start, _FIRST_PIECE
    while piece := os.pread(fd, size, at):
        at, size = at + len(piece), PIECE
        yield decoder.decode(piece), at
    yield decoder.decode(b"", True), at


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would keep us waiting for a writer
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check its name") from None
    except ValueError:
        raise DataError(f"{str(path)!r}: holds a NUL character, which no file name can; check data.path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if path.is_dir():
        os.close(fd)
        known = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
        files = sorted(child.name for child in path.iterdir() if child.suffix in known)[:5]
        raise DataError(f"{path}: is a folder; name a file in it{': ' + ', '.join(files) if files else ''}")
    if not path.is_file():
        os.close(fd)
        raise DataError(f"{path}: is no regular file; copy the data into one")
    return fd

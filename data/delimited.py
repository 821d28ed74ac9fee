"""CSV and TSV as JSON lines, row by row, so that one reader serves them all. Cells stay the text they are.

A row over several lines is followed by as many empty ones: line numbers stay those of the file.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.formats import LIST_COLUMNS, is_known_field
from data.json_values import fault_line

_DELIMITERS = {"csv": ",;|", "tsv": "\t"}
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
_LONGEST_CELL = 1 << 26

csv.field_size_limit(_LONGEST_CELL)  # of the whole process; the default of 131,072 characters loses real records


def container_of(suffix: str, head: str) -> str:
    """json, csv or tsv. The ending counts unless the content is JSON; without one, a first line of known column names does."""
    start = head.lstrip()[:1]
    if start in ("{", "["):
        return "json"
    if suffix.lower() in _SUFFIXES:
        return "tsv" if "\t" in head.partition("\n")[0] else "csv"
    for container in ("tsv", "csv"):
        names = _header(head, dialect(head, container))
        if len(names) > 1 and sum(map(is_known_field, names)) > 1:
            return container
    return "json"


def dialect(head: str, container: str) -> str:
    """The delimiter that parts the first line into most columns."""
    return max(_DELIMITERS[container], key=lambda delimiter: len(_header(head, delimiter)))


def as_json(path: Path, texts: Iterator[tuple[str, int]], delimiter: str) -> Iterator[tuple[bytes, int]]:
    """UTF-8 JSON lines, and how many bytes of the file they stand for. Raises DataError for a header that can't be used."""
    lines = _Lines(texts)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise DataError(f"{path}:1: the header is broken ({error}); check its quotes") from error
    if double := next((name for name in names if name and names.count(name) > 1), None):
        raise DataError(f"{path}:1: the column {double!r} stands twice in the header; rename one of them")
    out, line = ["\n" * rows.line_num], rows.line_num
    while True:
        try:
            row = next(rows, None)
            written = "" if not row else _row(names, row)
        except (csv.Error, RecursionError) as error:
            row, written = [], fault_line("broken_row", f"the row is broken ({error}){_lost(line, rows.line_num)}; check its quotes")
        if row is None:
            break
        out.append(written + "\n" * (rows.line_num - line))
        line = rows.line_num
        if len(out) >= 256:
            yield "".join(out).encode("utf-8", "surrogatepass"), lines.done
            out = []
    yield "".join(out).encode("utf-8", "surrogatepass"), lines.done


def _lost(before: int, last: int) -> str:
    """What else a quote that is never closed takes with it, as part of a sentence. before: line in front of the row."""
    others = {0: "", 1: f", and line {last} was left out with it"}
    return others.get(last - before - 1, f", and lines {before + 2:,} to {last:,} were left out with it")


def _row(names: list[str], row: list[str]) -> str:
    if len(row) > len(names) and any(row[len(names) :]):
        text = f"the row has {len(row)} cells, but the header has {len(names)}; quote cells that hold the delimiter"
        return fault_line("broken_row", text)
    return json.dumps({name: _cell(name, cell) for name, cell in zip(names, row, strict=False) if name}, ensure_ascii=False)


def _cell(name: str, cell: str) -> object:
    """Lists of turns are written into a cell as JSON."""
    if name in LIST_COLUMNS and cell.lstrip()[:1] == "[":
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def _header(head: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(head.lstrip("\r\n")), delimiter=delimiter), [])]
    except csv.Error:
        return []


class _Lines:
    """Lines of a text that comes in pieces, line ends kept. done: bytes of the file read for them."""

    def __init__(self, texts: Iterator[tuple[str, int]]):
        self._texts, self.done = texts, 0
        self._lines = self._all()

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _all(self) -> Iterator[str]:
        rest = ""
        for text, done in self._texts:
            self.done = done
            *whole, rest = (rest + text).split("\n")
            for line in whole:
                yield line + "\n"
        if rest:
            yield rest

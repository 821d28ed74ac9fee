"""A data file read into records. Valid records go on, the others become faults that name line, field and cure.

Reads whole files for now; `json_values.values` yields one value after another, so a streaming reader can take its place.
No tokens, no duplicates, no cleaning of texts here.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import Struct

from data import encoding
from data.conversation import Conversation
from data.errors import DataError
from data.formats import FORMATS, convert, detect
from data.json_values import Value, values


class Record(Struct, frozen=True):
    """index: place in `Dataset.records`.  line: 1-based, where the record starts.  raw: as it stood in the file."""

    index: int
    line: int
    conversation: Conversation
    raw: dict[str, Any]


class Fault(Struct, frozen=True):
    """field: what it is about, '' for the whole record.  code: stable name.  text: one sentence with value and cure.
    position: place in the file among all values, valid or not."""

    line: int
    field: str
    code: str
    text: str
    position: int = -1


class Dataset(Struct, frozen=True):
    """format: the layout most records have.  sha256: of the file's bytes.  remarks: faults of records that stay usable."""

    path: Path
    format: str
    sha256: str
    records: list[Record]
    faults: list[Fault]
    remarks: list[Fault] = []
    encoding: str = "utf-8"

    @property
    def invalid(self) -> int:
        """How many values of the file gave no record."""
        return len({fault.position for fault in self.faults})


def read_file(path: Path | str, format: str = "auto", strict: bool = False, limit: int | None = None) -> Dataset:
    """The records of a JSON, JSON-lines or JSON-objects file; at most `limit` of them.

    Raises DataError for a file that is missing, a folder, empty, in no known encoding, or without one usable record,
    and, when `strict`, for the first fault.
    """
    assert format in ("auto", *FORMATS), format
    path = Path(path)
    data = _read_bytes(path)
    try:
        text, encoding_name = encoding.decode(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        seen = f"byte {error.start} (0x{data[error.start]:02x})"
        raise DataError(f"{path}:{line}: {seen} is neither UTF-8 nor GB18030; save the file as UTF-8") from None
    reader = _Reader(path, format, strict)
    for position, value in enumerate(values(text)):
        reader.take(position, value)
        if limit is not None and len(reader.records) >= limit:
            break
    if not reader.records:
        raise _no_record(path, format, reader.faults)
    digest = hashlib.sha256(data).hexdigest()
    return Dataset(path, reader.main_format(), digest, reader.records, reader.faults, reader.remarks, encoding_name)


class _Reader:
    """Collects records, faults and layouts of one file."""

    def __init__(self, path: Path, format: str, strict: bool):
        self.path, self.format, self.strict = path, format, strict
        self.records: list[Record] = []
        self.faults: list[Fault] = []
        self.remarks: list[Fault] = []
        self._formats: Counter[str] = Counter()

    def take(self, position: int, value: Value) -> None:
        """Add one value of the file as a record or as a fault. Raises DataError for a fault when strict."""
        if value.fault is not None:
            self._fault(value.line, "", *value.fault, position)
        elif not isinstance(value.value, dict):
            text = f"a record must be an object, but this is {type(value.value).__name__} {str(value.value)[:40]!r}"
            self._fault(value.line, "", "not_an_object", text, position)
        else:
            self._convert(position, value.line, value.value)

    def main_format(self) -> str:
        return self._formats.most_common(1)[0][0]

    def _convert(self, position: int, line: int, raw: dict[str, Any]) -> None:
        conversation, problems = convert(raw, self.format)
        for problem in problems:
            if problem.is_remark:
                self.remarks.append(Fault(line, problem.field, problem.code, problem.text, position))
            else:
                self._fault(line, problem.field, problem.code, problem.text, position)
        if conversation is not None:
            self.records.append(Record(len(self.records), line, conversation, raw))
            self._formats[(detect(raw) or "") if self.format == "auto" else self.format] += 1

    def _fault(self, line: int, field: str, code: str, text: str, position: int) -> None:
        if self.strict:
            raise DataError(f"{self.path}:{line}: {text}{'' if not field or field in text else f' (field {field})'}")
        self.faults.append(Fault(line, field, code, text, position))


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check data.path") from None
    except IsADirectoryError:
        files = sorted(child.name for child in path.iterdir() if child.suffix in (".json", ".jsonl"))[:5]
        raise DataError(f"{path}: is a folder; name a file in it{': ' + ', '.join(files) if files else ''}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise DataError(f"{path}: the file is empty; give a file with one record a line, or a JSON array of records")
    return data


def _no_record(path: Path, format: str, faults: list[Fault]) -> DataError:
    """Why nothing could be used, with the first faults as examples."""
    if not faults:
        return DataError(f"{path}: holds no record; give a file with one record a line, or a JSON array of records")
    shown = "\n".join(f"{path}:{fault.line}: {fault.text}" for fault in faults[:3])
    layout = f"; data.format is {format!r}, 'auto' detects the layout" if format != "auto" else ""
    return DataError(f"{path}: none of its {len(faults)} records can be used{layout}; the first reasons:\n{shown}")

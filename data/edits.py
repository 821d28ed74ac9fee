"""What a person changed in the records of one file, step by step, so that each step can be taken back and done again.

The file itself is never touched: `data.saving` writes what comes out as another one, `data.edit_journal` keeps the steps on disk.
A record is named by its position among all values of the file, usable or not.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct


class Change(Struct, frozen=True):
    """What a record is from now on. value: None = as in the file.  of: `digest` of what stands in the file."""

    position: int
    of: str
    value: dict[str, Any] | None = None
    is_left_out: bool = False


class Made(Struct, frozen=True, tag="made"):
    """Changes that were made together, and are taken back together."""

    changes: tuple[Change, ...]


class Undone(Struct, frozen=True, tag="undone"):
    """The last step was taken back."""


class Redone(Struct, frozen=True, tag="redone"):
    """The step last taken back was made again."""


class Saved(Struct, frozen=True, tag="saved"):
    """All that had been changed was written to `path`."""

    path: str


Entry = Made | Undone | Redone | Saved


class Edits:
    """A fold of entries. note: told of each new entry after it was taken; what it raises comes through, the entry stays."""

    def __init__(self, note: Callable[[Entry], None] = lambda entry: None):
        self._note = note
        self._done: list[Made] = []
        self._undone: list[Made] = []
        self._saved: list[Made] = []
        self._now: dict[int, list[Change]] = {}

    def __len__(self) -> int:
        """Records that are not as in the file."""
        return sum(not _is_as_in_file(changes[-1]) for changes in self._now.values())

    @property
    def is_unsaved(self) -> bool:
        return self._done != self._saved

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def of(self, position: int) -> Change | None:
        """What a record was changed to, None when it is as in the file."""
        changes = self._now.get(position)
        return changes[-1] if changes and not _is_as_in_file(changes[-1]) else None

    def positions(self) -> list[int]:
        """Records that are not as in the file, in file order."""
        return sorted(position for position in self._now if self.of(position))

    def make(self, changes: Iterable[Change]) -> None:
        self._add(Made(tuple(changes)))

    def undo(self) -> Made | None:
        """Take back the last step; None when there is none."""
        step = self._done[-1] if self._done else None
        if step:
            self._add(Undone())
        return step

    def redo(self) -> Made | None:
        """Make the step last taken back again; None when there is none."""
        step = self._undone[-1] if self._undone else None
        if step:
            self._add(Redone())
        return step

    def mark_saved(self, path: str) -> None:
        self._add(Saved(path))

    def replay(self, entries: Iterable[Entry]) -> None:
        """Take entries that were noted before."""
        for entry in entries:
            self._take(entry)

    def _add(self, entry: Entry) -> None:
        self._take(entry)
        self._note(entry)

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, Made):
            self._do(entry)
            self._undone.clear()
        elif isinstance(entry, Undone) and self._done:
            self._undone.append(self._done.pop())
            for change in self._undone[-1].changes:
                self._now[change.position].pop()
                if not self._now[change.position]:
                    del self._now[change.position]
        elif isinstance(entry, Redone) and self._undone:
            self._do(self._undone.pop())
        elif isinstance(entry, Saved):
            self._saved = list(self._done)

    def _do(self, step: Made) -> None:
        self._done.append(step)
        for change in step.changes:
            self._now.setdefault(change.position, []).append(change)


def digest(source: object) -> str:
    """Tells whether a record in the file is still the one that was changed. source: its object, or its text where it is none."""
    return hashlib.blake2b(msgspec.json.encode(source, order="deterministic"), digest_size=12).hexdigest()


def _is_as_in_file(change: Change) -> bool:
    return change.value is None and not change.is_left_out

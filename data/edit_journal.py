"""The edits of one data file on disk, entry by entry, so that nothing is lost when a console dies. What they mean is `data.edits`.

One console writes at a time; a second one that wants to is told. What is being typed at the moment is kept beside it.
"""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from data.edits import Entry, Saved
from data.errors import DataError
from data.fields import Path as FieldPath


class Draft(Struct, frozen=True):
    """A text being typed. path: of the field, () for the whole record.  of: `digest` of the record in the file."""

    position: int
    path: FieldPath
    text: str
    of: str


class EditJournal:
    """Journal of the data file `source` in `folder`; both are made when there is something to write."""

    def __init__(self, folder: Path, source: Path):
        name = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:24]
        self.source = source
        self.path, self._draft = folder / f"{name}.jsonl", folder / f"{name}.draft"
        self._fd: int | None = None

    def entries(self) -> list[Entry]:
        """What was noted and not saved, in order; what a crash tore off, and all behind it, is left out."""
        try:
            lines = self.path.read_bytes().splitlines()[1:]
        except OSError:
            return []
        found: list[Entry] = []
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            for line in lines:
                found.append(msgspec.json.decode(line, type=Entry))
        return [] if found and isinstance(found[-1], Saved) else found

    def draft(self) -> Draft | None:
        """The text that was being typed when the console died."""
        try:
            return msgspec.json.decode(self._draft.read_bytes(), type=Draft)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def is_held_elsewhere(self) -> bool:
        """Whether another console is editing the same file."""
        if self._fd is not None:
            return False
        try:
            fd = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def note(self, entry: Entry) -> None:
        """Append and fsync. Raises DataError when another console edits the file, or the disk takes nothing."""
        try:
            fd = self._opened()
            os.write(fd, msgspec.json.encode(entry) + b"\n")
            os.fsync(fd)
        except OSError as error:
            raise self._unwritable(error) from error

    def note_draft(self, draft: Draft | None) -> None:
        """Keep what is being typed; None: nothing is. Survives the process at any moment. Raises DataError."""
        try:
            if draft is None:
                self._draft.unlink(missing_ok=True)
                return
            self._draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._draft.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(msgspec.json.encode(draft))
            temporary.replace(self._draft)
        except OSError as error:
            raise self._unwritable(error) from error

    def set_aside(self) -> Path:
        """Give the journal another name, so that the file can be edited anew; returns it. Raises OSError."""
        aside = self.path.with_suffix(".aside")
        self.path.replace(aside)
        return aside

    def close(self) -> None:
        """Let others write; a journal whose edits are all saved is removed."""
        if self._fd is not None:
            if not self.entries():
                self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def _opened(self) -> int:
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                raise DataError(f"{self.source}: is being edited in another console; leave that one first") from None
            self._fd = fd
            self._repair()
        return self._fd

    def _repair(self) -> None:
        """Begin the journal, or cut off what a crash left after the last whole entry, so that new ones are read."""
        assert self._fd is not None
        if not (found := self.entries()):
            os.ftruncate(self._fd, 0)
        heading = msgspec.json.encode({"file": str(self.source.resolve())})
        whole = b"".join(line + b"\n" for line in [heading, *map(msgspec.json.encode, found)])
        if os.path.getsize(self.path) != len(whole):
            os.ftruncate(self._fd, len(whole))
            os.pwrite(self._fd, whole, 0)
        os.lseek(self._fd, 0, os.SEEK_END)

    def _unwritable(self, error: OSError) -> DataError:
        reason = f"the journal of edits cannot be written ({error.strerror}); free space, or save the edits as a new file now"
        return DataError(f"{self.path.parent}: {reason}")

"""Edits of the file on the data screen: the fields of a record as choices, one of them in an editor, steps back and forth, the journal.

What an edit is and where it is kept is `data.edits` and `data.edit_journal`; this asks the person.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textual.app import App

from data import fields, fixes
from data.edit_journal import Draft, EditJournal
from data.edits import Change, Edits, Entry, Made, digest
from data.errors import DataError
from data.json_values import decode
from data.user_folders import state_folder
from tui import gate
from tui.faults import code_name
from tui.screens.data_loading import Stage
from tui.screens.data_table import RecordTable
from tui.texts import tr
from tui.widgets.choices import Choice, Choices
from tui.widgets.text_editor import TextEditor

PREVIEW = 60
TOLD_EVERY = 256
WHOLE: fields.Path = ()


def journal_of(source: Path) -> EditJournal:
    """The journal of a data file, with the console's state: it is no cache that may be thrown away."""
    return EditJournal(state_folder() / "edits", source)


class Proposed(NamedTuple):
    """Changes that were worked out in a thread, to be made together by `editing` if it is still the one on screen."""

    editing: "Editing"
    changes: tuple[Change, ...]


class Editing:
    """table: whose records are edited; its edits are told to the journal. Raises DataError where that cannot be written: the edit stays.

    waiting: whether an earlier console left edits that nobody has been asked about.
    """

    def __init__(self, table: RecordTable):
        self._table = table
        self.journal = journal_of(table.dataset.path)
        self._entries, self._draft = self.journal.entries(), self.journal.draft()
        self.waiting = bool(self._entries or self._draft) and not self.journal.is_held_elsewhere()
        table.edits = Edits(self.journal.note)

    async def offer_recovery(self, app: App) -> int:
        """Ask whether the edits of a console that died are wanted; return how many records have changed since and keep theirs not."""
        restored, stale = self._still_true(self._entries)
        count = sum(isinstance(entry, Made) for entry in restored)
        text = tr("data.recover", count=count) if count else tr("data.recover_draft")
        choices = [Choice("restore", tr("data.recover_yes")), Choice("aside", tr("data.recover_no"))]
        if await app.push_screen_wait(Choices(text, choices)) == "aside":
            self.set_aside()
            return 0
        self._table.edits.replay(restored)
        self._table.refresh(*map(self._table.row_at, self._table.edits.positions()))
        if self._draft and self._is_true(self._draft.position, self._draft.of):
            await self._type(app, self._table.row_at(self._draft.position), self._draft.path, self._draft.text)
        return stale

    def set_aside(self) -> None:
        """Leave earlier edits alone under another name."""
        if self._entries:
            self.journal.set_aside()
        self.journal.note_draft(None)

    async def edit(self, app: App, row: int) -> bool:
        """Ask for a field of a row and type it anew; return whether anything was changed."""
        raw = self._table.raw(row)
        faulty = {fault.field for fault in self._table.problems(row)}
        path = await self._ask_field(app, raw, faulty) if isinstance(raw, dict) else WHOLE
        return path is not None and await self._type(app, row, path)

    async def fix(self, app: App, row: int) -> bool | None:
        """Show what could be repaired in a row's characters, and the scripts it could be written in, before and after.

        Return whether any of it was taken, None if there is nothing to offer. Raises DataError for a script that needs OpenCC.
        """
        raw = self._table.raw(row)
        found = fixes.offers(raw) if isinstance(raw, dict) else []
        choices = [Choice((one,), f"{fields.path_name(one.path)}: {code_name(one.code)}", _shown(one)) for one in found]
        if len(found) > 1:
            choices.insert(0, Choice(tuple(found), tr("data.fix_all"), f"{len(found)}"))
        choices += [Choice(code, code_name(code), _preview(raw, code)) for code in fixes.scripts(raw)] if isinstance(raw, dict) else []
        if not choices:
            return None
        taken = await app.push_screen_wait(Choices(tr("data.fix_title"), choices, whole=True))
        if taken is None:
            return False
        made = fixes.offers(raw, [taken]) if isinstance(taken, str) else list(taken)
        self._make([self.change(row, fixes.applied(raw, made))])
        return True

    def leave_out(self, row: int) -> None:
        """Leave a row out of what will be saved, or take it in again."""
        self._make([self.change(row, self._changed_value(row), not self._table.is_left_out(row))])

    def leaving_out(self, rows: Sequence[int], tell: Callable[[Stage | Proposed], None]) -> None:
        """Propose to leave many rows out; if all of them are left out already, to take them in again. For a thread: makes nothing."""
        are_out = all(map(self._table.is_left_out, rows))
        changes = []
        for row in passing(rows, "leave_out", tell):
            changes.append(self.change(row, self._changed_value(row), not are_out))
        tell(Proposed(self, tuple(changes)))

    def raw(self, row: int) -> object:
        """A row as it is now: its object, or its text where it is none."""
        return self._table.raw(row)

    def change(self, row: int, value: dict[str, Any] | None, is_left_out: bool | None = None) -> Change:
        """The change that makes a row `value`, left out or not as it is now where nothing is said; nothing is made yet."""
        source, is_out = self._table.source(row), self._table.is_left_out(row) if is_left_out is None else is_left_out
        return Change(self._table.position(row), digest(source), None if value == source else value, is_out)

    def take(self, proposed: "Proposed") -> None:
        """Make what was proposed, as one step."""
        self._make(proposed.changes)

    def undo(self) -> list[int] | None:
        """Take back the last step; the rows it was about, None when there is none."""
        return self._rows_of(self._table.edits.undo())

    def redo(self) -> list[int] | None:
        return self._rows_of(self._table.edits.redo())

    def close(self) -> None:
        self.journal.close()

    async def _ask_field(self, app: App, raw: dict[str, Any], faulty: set[str]) -> fields.Path | None:
        """faulty: names of fields of which one is offered first."""
        found = [(path, text) for path, text in fields.fields(raw) if path]
        choices = [Choice(path, fields.path_name(path), gate.safe(" ".join(text[:PREVIEW].split()))) for path, text in found]
        choices.append(Choice(WHOLE, tr("data.edit_whole"), tr("data.edit_whole_about")))
        likely = next((path for path, _ in found if fields.path_name(path) in faulty), None)
        answer = await app.push_screen_wait(Choices(tr("data.edit_title"), choices, likely, wide=True))
        return answer if isinstance(answer, tuple) else None

    async def _type(self, app: App, row: int, path: fields.Path, draft: str | None = None) -> bool:
        """Let one field be typed until it can be used or is left as it was."""
        raw = self._table.raw(row)
        before = fields.as_text(fields.value_at(raw, path))
        title = tr("data.edit_of", field=fields.path_name(path) or tr("data.edit_whole"), line=f"{self._table.line(row):,}")
        position, of = self._table.position(row), digest(self._table.source(row))
        while True:
            note = lambda text: self.journal.note_draft(Draft(position, path, text, of))  # noqa: E731
            typed = await app.push_screen_wait(TextEditor(title, before, note, draft))
            if typed is None:
                break
            try:
                value = _object(typed) if path == WHOLE else fields.replaced(raw, path, typed)
            except DataError as error:
                app.notify(gate.safe_lines(str(error)), severity="error", timeout=12, markup=False)
                draft = typed
                continue
            self._make([self.change(row, value)])
            break
        self.journal.note_draft(None)
        return typed is not None

    def _changed_value(self, row: int) -> dict[str, Any] | None:
        change = self._table.change(row)
        return change.value if change else None

    def _make(self, changes: Iterable[Change]) -> None:
        made = tuple(changes)
        try:
            self._table.edits.make(made)
        finally:
            self._table.refresh(*(self._table.row_at(change.position) for change in made))

    def _rows_of(self, step: Made | None) -> list[int] | None:
        if step is None:
            return None
        rows = [self._table.row_at(change.position) for change in step.changes]
        self._table.refresh(*rows)
        return rows

    def _still_true(self, entries: list[Entry]) -> tuple[list[Entry], int]:
        """The entries without changes of records that are others in the file now, and how many those are."""
        kept: list[Entry] = []
        stale: set[int] = set()
        for entry in entries:
            if isinstance(entry, Made):
                wrong = {change.position for change in entry.changes if not self._is_true(change.position, change.of)}
                stale |= wrong
                kept.append(Made(tuple(change for change in entry.changes if change.position not in wrong)))
            else:
                kept.append(entry)
        return kept, len(stale)

    def _is_true(self, position: int, of: str) -> bool:
        return position < self._table.dataset.values and digest(self._table.source(self._table.row_at(position))) == of


def passing(rows: Sequence[int], stage: str, tell: Callable[[Stage], None]) -> Iterator[int]:
    """The rows, telling now and then how many have been passed. What `tell` raises comes through."""
    for done, row in enumerate(rows):
        if done % TOLD_EVERY == 0:
            tell(Stage(stage, done, len(rows)))
        yield row


def _shown(offer: fixes.Offer) -> str:
    return gate.safe(fixes.difference(offer.before, offer.after))


def _preview(raw: dict[str, Any], code: str) -> str:
    """The first change that a script would make, or what it needs."""
    try:
        return next((_shown(one) for one in fixes.offers(raw, [code])), "")
    except DataError as error:
        return gate.safe(str(error))


def _object(text: str) -> dict[str, Any]:
    """A record from its JSON. Raises DataError."""
    value = decode(text.encode())
    if value.fault is not None:
        raise DataError(value.fault.text)
    if not isinstance(value.value, dict):
        raise DataError(f"a record must be an object in braces, but this is {type(value.value).__name__}; write it as {{…}}")
    return value.value

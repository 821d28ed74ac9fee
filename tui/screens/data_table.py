"""What the data screen knows about one file: a few numbers a record, so that 100,000 are filtered at once. No widgets.

A row is a record's index, or below zero (-1 is the first) a value of the file that gave no record. Records are read when they are
shown. Lengths, groups and parts arrive after the records, from `tui.screens.data_loading`; until then they are empty. What a person
changed (`data.edits`) lies over what the file holds; groups and parts are those of the file.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from data.conversation import Conversation
from data.dataset import Dataset
from data.edits import Change, Edits
from data.examples import ExampleSettings
from data.fields import fields
from data.inspection import is_thinking_fault
from data.record import Fault
from data.splitting import Split
from data.text_checks import Texts
from data.text_index import TextIndex, fold, searchable_text
from data.tokenizer import Tokenizer
from tui import gate
from tui.screens.data_now import Now, count_changed, longest, read_changed
from tui.texts import tr
from tui.widgets.record_list import Row

WORDS = 160
"""Characters of a record's beginning that a list row may show."""
MAX_COLUMN = {"difficulty": 8, "category": 12, "split": 5}
THINKING_KINDS = ("without", "with", "faulty")


class RecordTable:
    """One file, what was found out about it, and what is being changed in it."""

    def __init__(self, dataset: Dataset, settings: ExampleSettings, cutoff: int, over_length: str = "drop", edits: Edits | None = None):
        self.dataset, self.settings, self.cutoff, self.over_length = dataset, settings, cutoff, over_length
        self.edits = edits or Edits()
        self.tokenizer: Tokenizer | None = None
        self.texts: Texts | None = None
        self.split: Split | None = None
        """How the configuration would split the file."""
        self.proof: dict[str, int] | None = None
        """Pairs of exact and of near duplicates that the split parts; None until proved."""
        self.groups = np.zeros(0, dtype=np.int64)
        """(N,) near-duplicate group of each record; empty until found."""
        self.near: dict[int, list[int]] = {}
        self.remarks: dict[int, list[Fault]] = {}
        self.faults: dict[int, list[Fault]] = {}
        self.index = TextIndex()
        self._seen_remarks = self._seen_faults = 0
        self._lengths = np.zeros((0, 4), dtype=np.int32)
        self._tokens = np.zeros(0, dtype=np.int32)
        self._now: dict[int, Now] = {}
        self._left_out: set[int] = set()
        self._exact = (0, np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.dataset.records)

    # What arrives

    def scan(self, count: int) -> None:
        """Make the next `count` records searchable, and take the reader's faults so far."""
        start = len(self.index)
        for number in range(start, min(start + count, len(self))):
            self.index.add(searchable_text(self.dataset.records[number].conversation))
        self.index.flush()
        remarks, faults = self.dataset.remarks[self._seen_remarks :], self.dataset.faults[self._seen_faults :]
        self.add_remarks(remarks)
        self.faults = _with(self.faults, ((fault.position, fault) for fault in faults))
        self._seen_remarks, self._seen_faults = self._seen_remarks + len(remarks), self._seen_faults + len(faults)

    def set_lengths(self, columns: np.ndarray) -> None:
        """columns: as `lengths`."""
        tokens = np.zeros(len(self), dtype=np.int32)
        np.maximum.at(tokens, columns[:, 0], columns[:, 1:].sum(axis=1))
        self._lengths, self._tokens = columns, tokens
        self.refresh(*self._now)

    def set_groups(self, groups: Sequence[int]) -> None:
        """Take the near-duplicate group of each record; groups of one are no groups."""
        numbers = np.asarray(groups, dtype=np.int64)
        order = np.argsort(numbers, kind="stable")
        runs = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
        self.near = {int(numbers[run[0]]): run.tolist() for run in runs if len(run) > 1}
        self.groups = numbers

    def set_texts(self, texts: Texts) -> None:
        """Take what the texts show: more remarks, languages, terms."""
        self.texts = texts
        self.add_remarks(remark for found in texts.remarks.values() for remark in found)

    def add_remarks(self, added: Iterable[Fault]) -> None:
        """Take more remarks on records."""
        self.remarks = _with(self.remarks, ((remark.record, remark) for remark in added))

    # Columns for filters and pages, an entry a record, changed ones as they are now

    def thinking(self) -> np.ndarray:
        """(N,) uint8, places in `THINKING_KINDS`."""
        kinds = np.frombuffer(bytes(self.dataset.records.facts.thinks), dtype=np.uint8)[: len(self)].copy()
        faulty = [row for row, found in self.remarks.items() if row < len(kinds) and any(map(is_thinking_fault, found))]
        kinds[faulty] = np.where(kinds[faulty] == 0, 2, kinds[faulty])
        for row, now in self._now.items():
            if row >= 0:
                kinds[row] = 1 if now.conversation and now.conversation.has_thinking else 2 * any(map(is_thinking_fault, now.problems))
        return kinds

    def labels(self, name: str) -> tuple[np.ndarray, list[str]]:
        """(N,) uint32 places in the list of all values of difficulty or category."""
        numbers, names = getattr(self.dataset.records.facts, {"difficulty": "difficulties", "category": "categories"}[name]).column
        codes, values = np.frombuffer(numbers.tobytes(), dtype=np.uint32)[: len(self)].copy(), [*names]
        for row, now in self._now.items():
            if row >= 0 and now.conversation:
                value = getattr(now.conversation, name)
                if value not in values:
                    values.append(value)
                codes[row] = values.index(value)
        return codes, values

    def characters(self) -> np.ndarray:
        """(N,) uint32, of question and answer as in the file."""
        return np.frombuffer(self.dataset.records.facts.characters.tobytes(), dtype=np.uint32)[: len(self)]

    def token_counts(self) -> np.ndarray:
        """(N,) int32, of each record's longest example; 0 until counted."""
        counts = np.zeros(len(self), dtype=np.int32)
        counts[: len(self._tokens)] = self._tokens
        for row, now in self._now.items():
            if row >= 0 and len(self._lengths):
                counts[row] = longest(now.lengths)
        return counts

    def lengths(self) -> np.ndarray:
        """(N, 4) int32 of record, prompt, thinking, answer, a row an example, without records left out; empty until counted."""
        if not len(self._lengths) or not (others := self.changed_rows()):
            return self._lengths
        kept = self._lengths[~np.isin(self._lengths[:, 0], others)]
        return np.concatenate([kept, *(now.lengths for row, now in self._now.items() if row not in self._left_out)])

    @property
    def is_counted(self) -> bool:
        """Whether tokens were counted."""
        return len(self._lengths) > 0

    def exact(self) -> np.ndarray:
        """Records whose question and answer stand in another one too, upwards."""
        digests = self.dataset.records.facts.digests
        if self._exact[0] != len(digests):
            hashes = np.frombuffer(digests.tobytes(), dtype=np.uint64)
            _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
            self._exact = (len(hashes), np.flatnonzero(counts[inverse] > 1))
        return self._exact[1]

    def repeats(self) -> np.ndarray:
        """Records whose question and answer stand in an earlier one, upwards: without them nothing is lost."""
        hashes = np.frombuffer(self.dataset.records.facts.digests.tobytes(), dtype=np.uint64)
        _, firsts = np.unique(hashes, return_index=True)
        return np.setdiff1d(np.arange(len(hashes)), firsts, assume_unique=True)

    # One row

    def position(self, row: int) -> int:
        """Its place among all values of the file."""
        return self.dataset.records.places.position(row) if row >= 0 else self.dataset.refused.position(-row - 1)

    def line(self, row: int) -> int:
        return self.dataset.records.places.line(row) if row >= 0 else self.dataset.refused.line(-row - 1)

    def change(self, row: int) -> Change | None:
        """What a person made of it, None when it is as in the file."""
        return self.edits.of(self.position(row))

    def is_left_out(self, row: int) -> bool:
        return row in self._left_out

    def changed_rows(self) -> list[int]:
        """Rows that are not as in the file."""
        return sorted({*self._now, *self._left_out})

    def source(self, row: int) -> Any:
        """What stands in the file: an object, or the text of a value that is none."""
        position = self.position(row)
        raw = self.dataset.raw_at(position)
        return self.dataset.text_at(position) if raw is None else raw

    def raw(self, row: int) -> Any:
        """The same with what a person changed."""
        change = self.change(row)
        return change.value if change and change.value is not None else self.source(row)

    def conversation(self, row: int) -> Conversation | None:
        """What the record says now; None when it cannot be used."""
        if row in self._now:
            return self._now[row].conversation
        return self.dataset.records[row].conversation if row >= 0 else None

    def problems(self, row: int) -> list[Fault]:
        """What is wrong with it, and what is odd about it."""
        if row in self._now:
            return self._now[row].problems
        return self.remarks.get(row, []) if row >= 0 else self.faults.get(self.position(row), [])

    def tokens(self, row: int) -> int:
        """Length of the record's longest example; 0 until counted."""
        if row in self._now:
            return longest(self._now[row].lengths)
        return int(self._tokens[row]) if 0 <= row < len(self._tokens) else 0

    def is_over_length(self, row: int) -> bool:
        return self.tokens(row) > self.cutoff

    def near_group(self, row: int) -> list[int]:
        """The near duplicates of a record, itself among them; [] when it has none."""
        return self.near.get(int(self.groups[row]), []) if 0 <= row < len(self.groups) else []

    def is_exact(self, row: int) -> bool:
        exact = self.exact()
        place = int(np.searchsorted(exact, row))
        return place < len(exact) and exact[place] == row

    def mark(self, row: int) -> str:
        """The sign in front of a record: what a person did to it, else a problem, else a duplicate."""
        if change := self.change(row):
            return "left_out" if change.is_left_out else "changed"
        if row < 0:
            return "unusable"
        if row in self.remarks or self.is_over_length(row):
            return "problem"
        return "duplicate" if self.near_group(row) or self.is_exact(row) else ""

    def row(self, row: int) -> Row:
        """The row as the list shows it."""
        conversation = self.conversation(row)
        words = conversation.turns[0].content if conversation else " ".join(text for _, text in fields(self.raw(row)))
        thinks = conversation is not None and conversation.has_thinking
        is_faulty = not thinks and any(map(is_thinking_fault, self.problems(row)))
        return Row(
            name=f"{row + 1}" if row >= 0 else f"L{self.line(row)}",
            mark=self.mark(row),
            thinking=THINKING_KINDS[1 if thinks else 2 * is_faulty] if conversation or is_faulty else "",
            difficulty=gate.safe(conversation.difficulty) if conversation else "",
            category=gate.safe(conversation.category) if conversation else "",
            split=self.split.assignment[row] if self.split and 0 <= row < len(self.split.assignment) else "",
            group=f"{self.groups[row] + 1}" if self.near_group(row) else "",
            tokens=self.tokens(row),
            is_over_length=self.is_over_length(row),
            words=gate.safe(" ".join(words[:WORDS].split())),
        )

    def widest(self) -> dict[str, int]:
        """Cells each optional column needs; 0 where no record has a value."""
        parts = max(map(gate.cells, self.split.ratios), default=0) if self.split else 0
        widths = {name: max(gate.cells(gate.safe(value)) for value in self.labels(name)[1][:200]) for name in ("difficulty", "category")}
        headed = {name: max(cells, gate.cells(tr(f"data.column_{name}"))) for name, cells in (widths | {"split": parts}).items() if cells}
        return {name: min(cells, MAX_COLUMN[name]) for name, cells in headed.items()}

    # Changes and searches

    def row_at(self, position: int) -> int:
        """The row of a place among all values of the file."""
        index = self.dataset.records.places.find(position)
        if index is None:
            refused = self.dataset.refused.find(position)
            assert refused is not None, position
            return -refused - 1
        return index

    def refresh(self, *rows: int) -> None:
        """Take what these rows say now; called for each row whose change came or went."""
        for row in rows:
            self._now.pop(row, None)
            self._left_out.discard(row)
            change = self.change(row)
            if change and change.is_left_out:
                self._left_out.add(row)
            if change and change.value is not None:
                conversation, problems = read_changed(self.dataset, self.line(row), change.value)
                text = fold(searchable_text(conversation) if conversation else str(change.value))
                self._now[row] = Now(conversation, problems, text, count_changed(row, conversation, self.tokenizer, self.settings))

    def search(self, needle: str, tell: Callable[[], None] = lambda: None) -> array:
        """Records that hold `needle` anywhere, as they are now. tell: called again and again; it may raise to stop."""
        wanted = fold(needle)
        found = [row for row in self.index.search(needle, tell) if row not in self._now]
        changed = [row for row, now in self._now.items() if wanted in now.text]
        return array("i", sorted([*changed, *found]) if changed else found)


def _with(found: dict[int, list[Fault]], added: Iterable[tuple[int, Fault]]) -> dict[int, list[Fault]]:
    """A dictionary with more in it. What was found before stays as it is: another thread may be going through it."""
    several: dict[int, list[Fault]] = {}
    for key, fault in added:
        several.setdefault(key, []).append(fault)
    return found | {key: [*found.get(key, []), *faults] for key, faults in several.items()} if several else found

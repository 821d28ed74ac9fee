"""What the data screen knows about one file: its records as rows, what to filter and search them by. No widgets, no tokens made.

Lengths, groups and parts arrive after the records, from `tui.screens.data_loading`; until then they are empty.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from data.conversation import Conversation
from data.examples import ExampleSettings
from data.inspection import Texts, duplicate_groups, groups_of_several, is_thinking_fault, remarks_by_record
from data.lengths import Lengths, longest_by_record
from data.reading import Dataset
from data.splitting import Split
from tui import gate
from tui.widgets.record_list import Row

WORDS = 160
"""Characters of a record's beginning that a list row may show."""
MAX_COLUMN = {"difficulty": 8, "category": 12, "split": 5}


class Filter(NamedTuple):
    """kind: all, problems, with_thinking, without_thinking, over_length, duplicates, near, difficulty, category, split or group."""

    kind: str = "all"
    value: str = ""


class Shares(NamedTuple):
    """Examples at a cut-off: longer than it, and of those the ones training would leave out."""

    over: int
    lost: int


@dataclass
class RecordTable:
    """One file as read, and what was found out about it since. terms: records each (name, category) occurs in."""

    dataset: Dataset
    settings: ExampleSettings
    cutoff: int
    over_length: str = "drop"
    lengths: list[Lengths] = field(default_factory=list)
    split: Split | None = None
    terms: Counter[tuple[str, str]] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.remarks = remarks_by_record(self.dataset)
        groups = duplicate_groups(self.dataset.records)
        self.exact = {record for members in groups for record in members}
        self.repeats = sum(len(members) - 1 for members in groups)
        self.near: dict[int, list[int]] = {}
        self._thinks = [record.conversation.has_thinking for record in self.dataset.records]
        self._labels = {name: _label_counts(self.dataset, name) for name in ("difficulty", "category")}
        self._tokens: list[int] = []
        self._ordered: list[int] = []
        self._uncuttable: list[int] = []
        self._haystacks: list[str] = []

    def __len__(self) -> int:
        return len(self.dataset.records)

    def set_lengths(self, lengths: list[Lengths]) -> None:
        """Take the token counts of all examples; a record's length is that of its longest example."""
        longest = longest_by_record(lengths)
        tokens = [longest[record].whole if record in longest else 0 for record in range(len(self))]
        # Another thread may be drawing: nothing half filled is ever seen.
        self.lengths, self._tokens = lengths, tokens
        self._ordered = sorted(one.whole for one in lengths)
        self._uncuttable = sorted(one.prompt + one.answer + 1 if one.thinking else one.whole for one in lengths)

    def set_split(self, split: Split) -> None:
        """Take the parts and the near-duplicate groups; groups of one are no groups."""
        self.near = groups_of_several(split.groups)
        self.split = split
        self._labels["split"] = Counter(split.assignment)

    def set_texts(self, texts: Texts) -> None:
        """Take what the texts show: more remarks, languages, terms."""
        remarks = {record: [*found] for record, found in self.remarks.items()}
        for record, found in texts.remarks.items():
            remarks.setdefault(record, []).extend(found)
        self.remarks, self.languages, self.terms = remarks, texts.languages, texts.terms

    def index_for_search(self) -> None:
        """Fold the texts of all records, so that a search compares only."""
        self._haystacks = [_haystack(record.conversation) for record in self.dataset.records]

    @property
    def ordered_lengths(self) -> Sequence[int]:
        """Whole lengths of all examples, upwards."""
        return self._ordered

    def tokens(self, record: int) -> int:
        """Length of the record's longest example; 0 until counted."""
        return self._tokens[record] if self._tokens else 0

    def shares(self, cutoff: int) -> Shares:
        """What `cutoff` would do under the configured way with over-length examples."""
        over = _count_over(self._ordered, cutoff)
        return Shares(over, _count_over(self._uncuttable, cutoff) if self.over_length == "truncate_thinking" else over)

    def is_over_length(self, record: int) -> bool:
        return self.tokens(record) > self.cutoff

    def near_group(self, record: int) -> list[int]:
        """The near duplicates of a record, itself among them; [] when it has none."""
        return self.near.get(self.split.groups[record], []) if self.split else []

    def thinking(self, record: int) -> str:
        """with, without or faulty (a thinking block that is empty)."""
        if self._thinks[record]:
            return "with"
        return "faulty" if any(map(is_thinking_fault, self.remarks.get(record, ()))) else "without"

    def mark(self, record: int) -> str:
        """The sign in front of a record: problem, duplicate or none."""
        if record in self.remarks or self.is_over_length(record):
            return "problem"
        return "duplicate" if record in self.exact or self.near_group(record) else ""

    def row(self, record: int) -> Row:
        conversation = self.dataset.records[record].conversation
        words = " ".join(conversation.turns[0].content[:WORDS].split())
        return Row(
            number=record + 1,
            mark=self.mark(record),
            thinking=self.thinking(record),
            difficulty=gate.safe(conversation.difficulty),
            category=gate.safe(conversation.category),
            split=self.split.assignment[record] if self.split else "",
            tokens=self.tokens(record),
            is_over_length=self.is_over_length(record),
            words=gate.safe(words),
        )

    def widest(self) -> dict[str, int]:
        """Cells each optional column needs; 0 where no record has a value."""
        return {name: min(_widest(self._labels.get(name, ())), most) for name, most in MAX_COLUMN.items()}

    def select(self, wanted: Filter) -> Sequence[int]:
        """The records `wanted` lets through, in file order."""
        count, tokens, cutoff = len(self), self._tokens, self.cutoff
        match wanted.kind:
            case "all":
                return range(count)
            case "problems":
                over = {record for record in range(count) if tokens[record] > cutoff} if tokens else set()
                return sorted(over | self.remarks.keys())
            case "with_thinking":
                return [record for record in range(count) if self._thinks[record]]
            case "without_thinking":
                return [record for record in range(count) if self.thinking(record) == "without"]
            case "over_length":
                return [record for record in range(count) if tokens[record] > cutoff] if tokens else []
            case "duplicates":
                return sorted(self.exact)
            case "near":
                return sorted(member for members in self.near.values() for member in members)
            case "group":
                return self.near.get(int(wanted.value), [])
            case "split":
                return self.split.indices(wanted.value) if self.split else []
        return [record.index for record in self.dataset.records if getattr(record.conversation, wanted.kind) == wanted.value]

    def filters(self) -> list[tuple[Filter, int]]:
        """Every filter that lets something through, with how much."""
        kinds = ("all", "problems", "with_thinking", "without_thinking", "over_length", "duplicates", "near")
        found = [(Filter(kind), len(self.select(Filter(kind)))) for kind in kinds]
        for kind, values in self._labels.items():
            found += [(Filter(kind, value), count) for value, count in values.most_common() if value]
        return [(wanted, count) for wanted, count in found if count or wanted.kind == "all"]

    def contains(self, record: int, folded: str) -> bool:
        """Whether the record holds `folded` (a case-folded text) anywhere."""
        if not self._haystacks:
            return folded in _haystack(self.dataset.records[record].conversation)
        return folded in self._haystacks[record]


def _haystack(conversation: Conversation) -> str:
    texts = [conversation.system, conversation.category, conversation.difficulty]
    for turn in conversation.turns:
        texts += (turn.content, turn.reasoning or "")
    return "\n".join(texts).casefold()


def _count_over(ordered: Sequence[int], cutoff: int) -> int:
    return len(ordered) - bisect_left(ordered, cutoff + 1)


def _label_counts(dataset: Dataset, name: str) -> Counter[str]:
    return Counter(getattr(record.conversation, name) for record in dataset.records)


def _widest(values: Iterable[str]) -> int:
    return max((gate.cells(gate.safe(value)) for value in values), default=0)

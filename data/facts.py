"""A few numbers about each record, kept for all records of a file however large: what splits, counts and filters go by.

About 40 bytes a record, so that nobody reads a large file again to count it. Texts are not kept.
"""

import hashlib
from array import array
from collections.abc import Sequence

import numpy as np

from data.conversation import Conversation
from data.record import Record


class Facts:
    """Columns, one entry a record.

    digests: of what is asked and answered (`Conversation.text`); equal for exact duplicates.  characters: of the same text.
    thinks, has_tools: 0 or 1.  difficulties, categories: the labels.  sources: digest of what the record belongs to, 0 for nothing.
    openings: for records of several exchanges, digests of the conversation up to each answer but the last.
    """

    def __init__(self) -> None:
        self.digests, self.characters = array("Q"), array("I")
        self.thinks, self.has_tools = bytearray(), bytearray()
        self.difficulties, self.categories = Labels(), Labels()
        self.sources = array("Q")
        self.openings: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self.digests)

    def append(self, conversation: Conversation) -> None:
        text = conversation.text()
        if openings := _openings(conversation):
            self.openings[len(self.digests)] = openings
        self.characters.append(len(text))
        self.thinks.append(conversation.has_thinking)
        self.has_tools.append(bool(conversation.tools))
        self.difficulties.append(conversation.difficulty)
        self.categories.append(conversation.category)
        self.sources.append(digest_of(conversation.source) if conversation.source else 0)
        self.digests.append(digest_of(text))

    def exact_duplicates(self) -> int:
        """Records whose question and answer repeat those of an earlier one."""
        return len(self.digests) - len(np.unique(np.array(self.digests, dtype=np.uint64)))

    def with_thinking(self) -> int:
        return sum(self.thinks)


class Labels(Sequence[str]):
    """One label a record, each kept once."""

    def __init__(self) -> None:
        self._numbers, self._names = array("I"), [""]
        self._number_of = {"": 0}

    def append(self, label: str) -> None:
        if label not in self._number_of:
            self._names.append(label)
            self._number_of[label] = len(self._names) - 1
        self._numbers.append(self._number_of[label])

    @property
    def column(self) -> tuple["array[int]", list[str]]:
        """A copy of all records' numbers, and the labels they stand for."""
        return self._numbers[:], self._names

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place):  # type: ignore[override] - a place gives a label, a slice gives a list
        if isinstance(place, slice):
            return [self._names[number] for number in self._numbers[place]]
        return self._names[self._numbers[place]]


def facts_of(records: Sequence[Record]) -> Facts:
    """The facts of records: those a file's records bring, else made here."""
    known = getattr(records, "facts", None)
    if isinstance(known, Facts):
        return known
    facts = Facts()
    for record in records:
        facts.append(record.conversation)
    return facts


def digest_of(text: str) -> int:
    """64 bits of BLAKE2: two of a million texts are taken for one once in 37 million files."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def _openings(conversation: Conversation) -> "array[int] | None":
    turns = conversation.turns
    ends = [number for number in conversation.assistant_turns() if number + 1 < len(turns) and turns[number + 1].role == "user"]
    if not ends:
        return None
    contents = [turn.content for turn in turns]
    return array("Q", (digest_of("\n".join(contents[: end + 1])) for end in ends))

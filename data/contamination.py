"""Which training records hold a question of a named evaluation file: what is learnt by heart cannot be measured.

A question counts as held when nearly all of its character 5-grams are in one turn of the record, whatever stands around them: a
reworded introduction or a changed answer does not hide it. Near duplicates within one file are `data.near_duplicates`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from data.near_duplicates import GRAM, grams_of, normalised
from data.record import Record

SHARE = 0.85
"""Share of a question's 5-grams from which a record holds it."""
SHORTEST = 12
"""Letters and digits of a question from which it says enough; shorter ones count only when equal."""


_NEITHER = re.compile(r"[\W_]+")


class Overlap(Struct, frozen=True):
    """record, evaluation: indices in their files.  share: of the question's 5-grams, 0 to 1.  text: the question's beginning."""

    record: int
    evaluation: int
    share: float
    text: str


def contaminated(
    records: Sequence[Record], evaluation: Sequence[Record], progress: Callable[[int, int], None] | None = None
) -> list[Overlap]:
    """Each record that holds a question of `evaluation`, with the question it holds most of, in the order of the records."""
    index = _Index(evaluation)
    found = []
    for record in records:
        if progress and record.index % 256 == 0:
            progress(record.index, len(records))
        if overlap := index.held_by(record):
            found.append(overlap)
    return found


class _Index:
    """The questions of an evaluation file by their grams."""

    def __init__(self, evaluation: Sequence[Record]):
        self._questions: list[tuple[int, str, frozenset[str]]] = []
        equal: dict[str, int] = {}
        for record in evaluation:
            for text in _questions(record):
                if text not in equal:
                    equal[text] = len(self._questions)
                    self._questions.append((record.index, text, grams_of(_bare(text))))
        self._equal = equal
        counts = Counter(gram for _, _, grams in self._questions for gram in grams)
        self._by_gram: dict[str, list[int]] = {}
        for number, (_, text, grams) in enumerate(self._questions):
            if len(_bare(text)) >= SHORTEST:
                # Whoever holds SHARE of the grams holds one of any 1 - SHARE of them and one more: the rarest make fewest candidates.
                rarest = int(len(grams) * (1 - SHARE) + 1e-9) + 1
                for gram in sorted(grams, key=lambda gram: (counts[gram], gram))[:rarest]:
                    self._by_gram.setdefault(gram, []).append(number)

    def held_by(self, record: Record) -> Overlap | None:
        best = None
        for text in _texts(record):
            for number, share in self._shares(text):
                if best is None or share > best.share:
                    evaluation, question, _ = self._questions[number]
                    best = Overlap(record.index, evaluation, round(share, 3), question[:60])
        return best

    def _shares(self, text: str) -> Iterator[tuple[int, float]]:
        """Numbers of the questions that a text holds, with how much of them."""
        if text in self._equal:
            yield self._equal[text], 1.0
        text = _bare(text)
        if len(text) < SHORTEST:
            return
        candidates = {number for place in range(len(text) - GRAM + 1) for number in self._by_gram.get(text[place : place + GRAM], ())}
        if candidates:
            grams = grams_of(text)
            for number in candidates:
                share = len(self._questions[number][2] & grams) / len(self._questions[number][2])
                if share >= SHARE:
                    yield number, share


def _bare(text: str) -> str:
    """Letters and digits only: another comma changes five grams."""
    return _NEITHER.sub("", text)


def _questions(record: Record) -> Iterator[str]:
    return (normalised(turn.content) for turn in record.conversation.turns if turn.role == "user")


def _texts(record: Record) -> Iterator[str]:
    return (normalised(turn.content) for turn in record.conversation.turns)

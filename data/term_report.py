"""Cryptography terms over a data set: how much of the list it covers, what occurs together, which standards are doubtful."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations

from msgspec import Struct

from data.standards import doubt
from data.term_list import entries
from data.terms import VALUES, Term, find_terms

MOST_PAIRS = 50
MOST_TERMS = 60
"""A text of more terms than this makes no pairs: it is a list, and everything occurs with everything."""


class TermCount(Struct, frozen=True):
    """occurrences: in all texts.  records: texts that hold it."""

    name: str
    category: str
    standard: str
    occurrences: int
    records: int


class Coverage(Struct, frozen=True):
    """listed: terms of the list in this category.  found: those that occur.  occurrences: of all of them."""

    category: str
    listed: int
    found: int
    occurrences: int


class Pair(Struct, frozen=True):
    """Two terms in `records` texts together.  lift: how many times more often than if they had nothing to do with each other."""

    one: str
    other: str
    records: int
    lift: float


class Doubtful(Struct, frozen=True):
    """A standard whose number may not exist, and why.  records: numbers, from 1, of the texts that name it."""

    name: str
    reason: str
    records: list[int]


class TermReport(Struct, frozen=True):
    """records: texts in all.  with_terms: those that hold any.  terms, pairs: most first.  coverage: by category, largest first."""

    records: int
    with_terms: int
    terms: list[TermCount]
    coverage: list[Coverage]
    pairs: list[Pair]
    doubtful: list[Doubtful]


def report_terms(texts: Iterable[str], progress: Callable[[int], None] | None = None) -> TermReport:
    """Terms of many texts. progress: called with the texts done; it may raise to stop."""
    counts = _Counts()
    for number, text in enumerate(texts):
        if progress and number % 64 == 0:
            progress(number)
        counts.add(number, find_terms(text))
    return counts.report()


class _Counts:
    def __init__(self) -> None:
        self._texts = self._with_terms = 0
        self._kinds: dict[str, Term] = {}
        self._occurrences: Counter[str] = Counter()
        self._records: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._doubtful: dict[str, list[int]] = {}

    def add(self, number: int, terms: Iterable[Term]) -> None:
        self._texts += 1
        here = Counter(term.name for term in terms if term.category not in VALUES)
        self._with_terms += bool(here)
        for term in terms:
            self._kinds.setdefault(term.name, term)
        self._occurrences.update(here)
        self._records.update(here.keys())
        if len(here) <= MOST_TERMS:
            self._pairs.update(combinations(sorted(here), 2))
        for name in here:
            if self._kinds[name].category == "standard" and doubt(name):
                self._doubtful.setdefault(name, []).append(number + 1)

    def report(self) -> TermReport:
        kinds, records = self._kinds, self._records
        terms = [
            TermCount(name, kinds[name].category, kinds[name].standard, self._occurrences[name], count)
            for name, count in sorted(records.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
        doubtful = [Doubtful(name, doubt(name), numbers) for name, numbers in self._doubtful.items()]
        return TermReport(self._texts, self._with_terms, terms, self._coverage(), self._best_pairs(), doubtful)

    def _coverage(self) -> list[Coverage]:
        listed = Counter(entry.category for entry in entries())
        known = {entry.name: entry.category for entry in entries()}
        found = Counter(known[name] for name in self._records if name in known)
        occurrences: Counter[str] = Counter()
        for name, count in self._occurrences.items():
            if name in known:
                occurrences[known[name]] += count
        return [Coverage(category, count, found[category], occurrences[category]) for category, count in listed.most_common()]

    def _best_pairs(self) -> list[Pair]:
        best = sorted(self._pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_PAIRS]
        return [Pair(*pair, count, self._lift(pair, count)) for pair, count in best]

    def _lift(self, pair: tuple[str, str], count: int) -> float:
        return round(count * self._texts / (self._records[pair[0]] * self._records[pair[1]]), 2)

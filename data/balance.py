"""Kinds of records, and whether the parts of a split hold each in proportion: wanted against got. Assigns nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from data.facts import Facts

KINDS = ("difficulty", "category", "thinking", "length")
LENGTHS = (100, 300, 1000, 3000)
"""Characters of question and answer that part short from long records."""

Kind = tuple[str, str, str, str]
"""A record's value for each of `KINDS`."""


class Share(Struct, frozen=True):
    """Records of one kind in one part. wanted: as many as the part's ratio of all such records; got: as there are."""

    kind: str
    value: str
    part: str
    wanted: float
    got: int


def kinds_of(facts: Facts) -> list[Kind]:
    """Difficulty, category, with or without thinking, and length of each record."""
    buckets = [_bucket(characters) for characters in facts.characters]
    thinking = ["with" if thinks else "without" for thinks in facts.thinks]
    return list(zip(facts.difficulties, facts.categories, thinking, buckets, strict=True))


def shares(facts: Facts, assignment: Sequence[str], ratios: Mapping[str, float]) -> list[Share]:
    """Every value of every kind in every part."""
    kinds = kinds_of(facts)
    found = []
    for place, name in enumerate(KINDS):
        total = Counter(kind[place] for kind in kinds)
        got = Counter((kind[place], part) for kind, part in zip(kinds, assignment, strict=True))
        for value in sorted(total):
            found += [Share(name, value, part, round(ratio * total[value], 2), got[value, part]) for part, ratio in ratios.items()]
    return found


def _bucket(characters: int) -> str:
    """The bucket's limits as a person reads them: <100, 100-299, … ≥3000."""
    for low, high in zip((0, *LENGTHS), LENGTHS, strict=False):
        if characters < high:
            return f"{low}-{high - 1}" if low else f"<{high}"
    return f"≥{LENGTHS[-1]}"

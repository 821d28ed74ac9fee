"""Exercises one after another, the same on every machine for the same wishes, none twice, one part at a time.

Nothing is held but the identities of what was made (a few dozen bytes an exercise). Writing them is not done here.
"""

from collections.abc import Iterator, Sequence

from data.errors import DataError
from data.exercises import blocks, codes, curves, discrete_log, number_theory, rail_fence, rsa, streams, substitution
from data.exercises.dice import Dice
from data.exercises.exercise import LEVELS, Exercise, Family, compose, identify, part_of

FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (number_theory, rsa, discrete_log, curves, substitution, rail_fence, streams, blocks, codes)
    for family in module.FAMILIES
}
_PATIENCE = 2000
"""Draws in a row that bring nothing new before a family's level counts as used up."""


def generate(
    count: int, seed: int, part: str, families: Sequence[str] = tuple(FAMILIES), levels: Sequence[int] = LEVELS
) -> Iterator[Exercise]:
    """`count` different exercises of `part`, families and levels in turn; small families that are used up are passed over.

    A longer run begins with the exercises of a shorter one. Raises DataError, at once for unknown families and levels and at
    the end where there are fewer than `count` such exercises.
    """
    for family in families:
        if family not in FAMILIES:
            raise DataError(f"{family}: no such family of exercises; there are {', '.join(FAMILIES)}")
    if wrong := [level for level in levels if level not in LEVELS]:
        raise DataError(f"{wrong[0]}: no such level; levels are 1 to 5")
    return _take(count, [_Kind(FAMILIES[family], level, seed, part) for level in levels for family in families])


def _take(count: int, kinds: list["_Kind"]) -> Iterator[Exercise]:
    seen: set[int] = set()
    made = 0
    while made < count:
        if not kinds:
            raise DataError(
                f"there are only {made} different exercises of these families and levels, not {count}; lower the count, or allow more"
            )
        for kind in list(kinds):
            exercise = kind.following(seen)
            if exercise is None:
                kinds.remove(kind)
                continue
            yield exercise
            made += 1
            if made == count:
                return


class _Kind:
    """One family at one level, with its own dice, so that the wishes for other kinds change nothing here."""

    def __init__(self, family: Family, level: int, seed: int, part: str) -> None:
        self._family, self._level, self._part = family, level, part
        self._dice = Dice("danlu exercises 1", seed, family.name, level, part)

    def following(self, seen: set[int]) -> Exercise | None:
        """The next exercise whose identity is not in `seen`, and adds it there; None when there is none any more."""
        for _ in range(_PATIENCE):
            parameters = self._family.draw(self._dice, self._level)
            identity = identify(self._family.name, parameters)
            if part_of(identity) == self._part and int(identity, 16) not in seen:
                seen.add(int(identity, 16))
                return compose(self._family, self._level, parameters, self._dice.below(len(self._family.phrasings)))
        return None

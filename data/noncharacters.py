"""Characters that Unicode means no text to hold: marks to put into one and find again."""

from collections.abc import Sequence

NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))


def free_noncharacter(texts: Sequence[str]) -> str | None:
    """The first of them that is in none of `texts`; None where each is in one."""
    return next((one for one in NONCHARACTERS if not any(one in text for text in texts)), None)

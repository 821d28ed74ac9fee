"""Cryptography terms in a text: the names of `data.term_list` by Aho-Corasick, what cannot be listed by `data.term_patterns`.

Apart from word segmentation, because names with slashes, spaces or full-width letters are no words to it (docs/log.md).
Offsets are those of the text as given. Counting over a data set is `data.term_report`.
"""

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ahocorasick
from msgspec import Struct

from data.term_list import Entry, entries, ordinary_words, spellings
from data.term_patterns import find_named, find_patterns

_FLAT = {c: c - 0xFEE0 for c in (*map(ord, "＃＋－．／＿"), *range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
_FLAT |= {0x3000: 0x20} | dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)
"""Full-width forms that occur in names, and the many hyphens, each as its ASCII character."""
_NOT_FLAT = re.compile(f"[{''.join(map(re.escape, map(chr, _FLAT)))}]")

NEAR = 150
"""Characters within which another term makes a term of a name that is also an ordinary word (signature, challenge)."""
NEAR_DOUBTFUL = 40
"""The same where the other is such a name itself: collision and preimage in one sentence."""
VALUES = ("hex", "base64")
"""Categories that are values, not terms: nobody counts them, and they make a term of no other word."""


class Term(Struct, frozen=True):
    """text: as it stands at [start, end).  name: the one name of the term.  standard: where it is defined, '' if nowhere."""

    text: str
    start: int
    end: int
    name: str
    category: str
    standard: str = ""


class _Match(NamedTuple):
    start: int
    end: int
    name: str
    category: str
    standard: str
    needs_context: bool = False


class _Spelling(NamedTuple):
    """entry: None for an ordinary word.  has_case: it counts only as written here.  takes_plural: an English s may follow.
    has_latin_end: it starts or ends with a letter that a longer word could hold."""

    text: str
    entry: Entry | None
    has_case: bool
    takes_plural: bool
    has_latin_end: bool


def find_terms(text: str) -> list[Term]:
    """The terms of a text in order, none overlapping another; where several could start, the longest."""
    flat = text.translate(_FLAT) if not text.isascii() and _NOT_FLAT.search(text) else text
    found = [*_listed(flat), *(_Match(*pattern) for pattern in find_patterns(flat))]
    # SM2 攻击 is two terms, because SM2 is one; in Raccoon 攻击 only the whole is.
    known = {one.start for one in found}
    found += [_Match(*pattern, needs_context=True) for pattern in find_named(flat) if pattern.start not in known]
    kept = _near_others(_leftmost_longest(found))
    return [Term(text[one.start : one.end], one.start, one.end, one.name, one.category, one.standard) for one in kept]


def _leftmost_longest(found: list[_Match]) -> list[_Match]:
    found.sort(key=lambda one: (one.start, -one.end))
    kept: list[_Match] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _near_others(found: list[_Match]) -> list[_Match]:
    """Without the names that need another term near them and have none, not even another such name."""
    if not any(one.needs_context for one in found):
        return found
    sure = [one.start for one in found if not one.needs_context and one.category not in VALUES]
    doubtful = [one for one in found if one.needs_context]
    supported = _beside_others(doubtful) | {one.start for one in doubtful if _is_near(one.start, sure)}
    return [one for one in found if not one.needs_context or one.start in supported]


def _is_near(place: int, others: Sequence[int]) -> bool:
    after = bisect_left(others, place)
    return any(abs(other - place) <= NEAR for other in others[max(after - 1, 0) : after + 1])


def _beside_others(doubtful: list[_Match]) -> set[int]:
    """Starts of the matches that have one of another name within `NEAR_DOUBTFUL`, looking both ways once."""
    found: set[int] = set()
    for ordered in (doubtful, doubtful[::-1]):
        other = last = None
        for one in ordered:
            if last and last.name != one.name:
                other = last
            if other and abs(one.start - other.start) <= NEAR_DOUBTFUL:
                found.add(one.start)
            last = one
    return found


def _listed(flat: str) -> Iterator[_Match]:
    """Matches of listed names, Latin ones only as whole words, none across an ordinary word."""
    matches: list[_Match] = []
    inside: set[int] = set()
    """Places between two characters of an ordinary word: a match that starts or ends there tears it apart."""
    for start, end, spelling in _occurrences(_lowered(flat)):
        entry = spelling.entry
        if entry is None:
            inside.update(range(start + 1, end))
        elif whole := _whole_word_end(flat, start, end, spelling) if spelling.has_latin_end else end:
            matches.append(_Match(start, whole, entry.name, entry.category, entry.standard, entry.needs_context))
    return (one for one in matches if one.start not in inside and one.end not in inside)


def _occurrences(lowered: str) -> Iterator[tuple[int, int, _Spelling]]:
    """Start, end and spelling of every listed name, by its end.

    The automaton goes over UTF-8: over characters, with a thousand of them to choose from at each start, it takes five times as long.
    """
    encoded = lowered.encode("utf-8", "surrogatepass")
    seen = end = 0
    for last, spelling in _automaton().iter(encoded.decode("latin-1")):
        end += len(encoded[seen : last + 1].decode("utf-8", "surrogatepass"))
        seen = last + 1
        yield end - len(spelling.text), end, spelling


def _whole_word_end(flat: str, start: int, end: int, spelling: _Spelling) -> int:
    """Where the name ends, its plural included; 0 when it is a part of a longer Latin word or in the wrong case."""
    if spelling.has_case and flat[start:end] != spelling.text:
        return 0
    if start and _is_latin(flat[start]) and _is_latin(flat[start - 1]):
        return 0
    if _is_latin(flat[end - 1]) and _is_latin(flat[end : end + 1]):
        if not (spelling.takes_plural and flat[end] == "s" and not _is_latin(flat[end + 1 : end + 2])):
            return 0
        end += 1
    return end


@functools.cache
def _automaton() -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for word in ordinary_words():
        automaton.add_word(_as_bytes(word), _Spelling(word, None, False, False, False))
    for entry in entries():
        for name in entry.names:
            for text in spellings(name):
                takes_plural = len(text) > 4 and text[-1].isascii() and text[-1].islower() and not text.endswith("s")
                has_case, has_latin_end = entry.has_case or _needs_case(text), _is_latin(text[0]) or _is_latin(text[-1])
                automaton.add_word(_as_bytes(_lowered(text)), _Spelling(text, entry, has_case, takes_plural, has_latin_end))
    automaton.make_automaton()
    return automaton


def _as_bytes(text: str) -> str:
    """The bytes of UTF-8, each as a character."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _lowered(text: str) -> str:
    """Lower case of the same length: a few letters (İ) would grow."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _needs_case(name: str) -> bool:
    """Short Latin names are words in lower case: "des", "mac", "ssl" in an address."""
    return len(name) <= 3 and name.isascii() and name.isalpha() and name.isupper()


def _is_latin(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_") if character else False

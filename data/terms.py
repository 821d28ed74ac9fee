"""Cryptography terms in a text: the names of `data.term_list` by Aho-Corasick, what cannot be listed by `data.term_patterns`.

Apart from word segmentation, because names with slashes, spaces or full-width letters are no words to it (docs/log.md).
Offsets are those of the text as given. Counting over a data set is `data.term_report`.
"""

import functools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter
from string import ascii_letters, digits
from typing import NamedTuple

import ahocorasick
from msgspec import Struct

from data.term_list import Entry, entries, ordinary_words, spellings
from data.term_patterns import Match, find_named, find_patterns
from data.word_edges import is_torn, words_over_ends

_FLAT = {chr(ord(ascii) + 0xFEE0): ascii for ascii in f"#+-./_{ascii_letters}{digits}"}
_FLAT |= {"\u3000": " ", "\u2019": "'"} | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
"""Full-width forms that occur in names, the many hyphens and the typographic apostrophe, each as its ASCII character."""
_NOT_FLAT = re.compile(f"[{''.join(map(re.escape, _FLAT))}]")

_LATIN = frozenset(f"{ascii_letters}{digits}_")
"""What a Latin word holds."""

NEAR = 150
"""Characters within which a sure term makes a term of a name that is also an ordinary word (signature, challenge)."""
VALUES = ("hex", "base64")
"""Categories that are values, not terms: nobody counts them, and they make a term of no other word."""
_ALGORITHMS = ("symmetric", "public_key", "guomi", "signature", "hash", "mac", "key_management", "post_quantum", "algorithm")
_TAILS = {"attack": "攻击"} | dict.fromkeys(_ALGORITHMS, "算法")
"""What belongs to a name of its category when it follows: SHA-256 算法, POODLE 攻击."""
_JOINTS = ("-", "-with-", "-With-")
_LONGEST_JOINT = max(map(len, _JOINTS))
"""What makes one name of two: PBKDF2-HMAC-SM3."""
_START, _END = attrgetter("start"), attrgetter("end")


class Term(Struct, frozen=True, gc=False):
    """text: as it stands at [start, end).  name: the one name of the term.  standard: where it is defined, '' if nowhere."""

    text: str
    start: int
    end: int
    name: str
    category: str
    standard: str = ""


class _Spelling(NamedTuple):
    """said: what its entry says, as the end of a Match; None for an ordinary word.  has_case: it counts only as written here.
    takes_plural: an English s may follow.  has_latin_end: it starts or ends with a letter that a longer word could hold."""

    text: str
    length: int
    said: tuple | None
    has_case: bool
    takes_plural: bool
    has_latin_end: bool


def find_terms(text: str) -> list[Term]:
    """The terms of a text in order, none overlapping another; where several could start, the longest."""
    # Few of them are in a text: three times as fast as to translate all of it.
    flat = _NOT_FLAT.sub(lambda found: _FLAT[found[0]], text)
    found = [*_listed(flat), *find_patterns(flat)]
    if named := list(find_named(flat)):
        # SM2 攻击 is two terms, because SM2 is one; in Raccoon 攻击 only the whole is.
        known = {one.start for one in found}
        found += [one for one in named if one.start not in known]
    kept = _near_others(_leftmost_longest(flat, found))
    return [Term(text[one.start : one.end], one.start, one.end, one.name, one.category, one.standard) for one in kept]


def _leftmost_longest(flat: str, found: list[Match]) -> list[Match]:
    """None overlapping another, each with what makes a longer name of it or of two: SHA-256 算法, PBKDF2-HMAC-SM3."""
    found.sort(key=_END, reverse=True)
    found.sort(key=_START)
    kept: list[Match] = []
    last = 0
    for match in found:
        if match.start < last:
            continue
        one = _with_tail(flat, match)
        if kept and one.start - last <= _LONGEST_JOINT and flat[last : one.start] in _JOINTS and _joins(flat, kept[-1], one):
            start = kept.pop().start
            one = Match(start, one.end, flat[start : one.end], "algorithm")
        kept.append(one)
        last = one.end
    return kept


def _with_tail(flat: str, one: Match) -> Match:
    tail = _TAILS.get(one.category)
    if not tail:
        return one
    if flat.startswith(tail, one.end):
        return one._replace(end=one.end + len(tail))
    return one._replace(end=one.end + 1 + len(tail)) if flat.startswith(f" {tail}", one.end) else one


def _joins(flat: str, one: Match, other: Match) -> bool:
    return (
        one.category not in (*VALUES, "standard")
        and other.category not in VALUES
        and not (one.needs_context and other.needs_context)
        and flat[one.start : other.end].isascii()
    )


def _near_others(found: list[Match]) -> list[Match]:
    """Without the names that need a sure term near them, or one of their subject, and have none."""
    places = [one.start for one in found if not one.needs_context and one.category not in VALUES]
    kept = [one for one in found if not one.needs_context or one.near or _is_near(one.start, places)]
    if not any(one.near for one in kept):
        return kept
    subjects = [one for one in kept if not one.near and one.category not in VALUES]
    places = [one.start for one in subjects]
    return [one for one in kept if not one.near or _has_subject(one, subjects, places)]


def _is_near(start: int, places: list[int]) -> bool:
    after = bisect_left(places, start)
    return (after > 0 and start - places[after - 1] <= NEAR) or (after < len(places) and places[after] - start <= NEAR)


def _has_subject(doubtful: Match, subjects: list[Match], places: list[int]) -> bool:
    around = subjects[bisect_left(places, doubtful.start - NEAR) : bisect_right(places, doubtful.start + NEAR)]
    return any(word in one.name for one in around for word in doubtful.near)


def _listed(flat: str) -> list[Match]:
    """Matches of listed names, Latin ones only as whole words, none across an ordinary word or two."""
    matches: list[Match] = []
    inside: set[int] = set()
    """Places between two characters of an ordinary word: a match that starts or ends there tears it apart."""
    over_ends = words_over_ends()
    for start, end, spelling in _occurrences(_lowered(flat)):
        if spelling.said is None:
            inside.update(range(start + 1, end))
        elif spelling.length == 2 and flat[end - 1 : end + 1] in over_ends and is_torn(flat, start, end):
            continue
        elif not spelling.has_latin_end or (end := _whole_word_end(flat, start, end, spelling)):
            matches.append(Match._make((start, end, *spelling.said)))
    return [one for one in matches if one.start not in inside and one.end not in inside] if inside else matches


def _occurrences(lowered: str) -> Iterator[tuple[int, int, _Spelling]]:
    """Start, end and spelling of every listed name, by its end.

    The automaton goes over UTF-8: over characters, with a thousand of them to choose from at each start, it takes five times as long.
    """
    encoded = lowered.encode("utf-8", "surrogatepass")
    seen = end = 0
    for last, spelling in _automaton().iter(encoded.decode("latin-1")):
        if last >= seen:
            end += len(encoded[seen : last + 1].decode("utf-8", "surrogatepass"))
            seen = last + 1
        yield end - spelling.length, end, spelling


def _whole_word_end(flat: str, start: int, end: int, spelling: _Spelling) -> int:
    """Where the name ends, its plural included; 0 when it is a part of a longer Latin word or in the wrong case."""
    if spelling.has_case and flat[start:end] != spelling.text:
        return 0
    if start and flat[start] in _LATIN and flat[start - 1] in _LATIN:
        return 0
    if flat[end - 1] in _LATIN and flat[end : end + 1] in _LATIN:
        if not (spelling.takes_plural and flat[end] == "s" and flat[end + 1 : end + 2] not in _LATIN):
            return 0
        end += 1
    return end


@functools.cache
def _automaton() -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for key, spelling in _spelled().items():
        automaton.add_word(_as_bytes(key), spelling)
    automaton.make_automaton()
    return automaton


def _spelled() -> dict[str, _Spelling]:
    """Every way of writing every name, in lower case. What the list itself says comes before what follows from it."""
    spelled = {word: _Spelling(word, len(word), None, False, False, False) for word in ordinary_words()}
    spelled |= {_lowered(name): _spelling(name, entry) for entry in entries() for name in entry.names}
    for entry in entries():
        for name in entry.names:
            for text in spellings(name):
                spelled.setdefault(_lowered(text), _spelling(text, entry))
    return spelled


def _spelling(text: str, entry: Entry) -> _Spelling:
    takes_plural = len(text) > 4 and text[-1].isascii() and text[-1].islower() and not text.endswith("s")
    said = entry.name, entry.category, entry.standard, entry.needs_context, entry.near
    return _Spelling(text, len(text), said, entry.has_case or _needs_case(text), takes_plural, text[0] in _LATIN or text[-1] in _LATIN)


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

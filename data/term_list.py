"""The curated list of cryptography terms, `terms.toml`, and every way of writing each of its names. It looks at no text."""

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import tomli
from msgspec import Struct

_FILE = Path(__file__).with_name("terms.toml")
_SCRIPT_CHANGE = re.compile("(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])")
_HYPHEN, _GAP = re.compile("(?<=[A-Za-z\u4e00-\u9fff])-(?=[A-Za-z\u4e00-\u9fff])"), re.compile("(?<=[a-z]) (?=[a-z])")
_HAN_HYPHEN = re.compile("(?<=[\u4e00-\u9fff])-(?=[\u4e00-\u9fff])")
_JOINED = re.compile("(?<=[A-Za-z]{3})-(?=[A-Za-z]{3})|(?<=[\u4e00-\u9fff])-(?=[\u4e00-\u9fff])")
_HAN, _ONLY_HAN = re.compile("[\u4e00-\u9fd5]{2,}"), re.compile("[\u4e00-\u9fff]+")
_PLURALS = ((re.compile("(?<=[a-z][b-df-hj-np-tv-xz])y$"), "ies"), (re.compile("(?<=[a-z](?:ch|sh|.s|.x))$"), "es"))


class Entry(Struct, frozen=True):
    """names: all ways of writing the term, `name` first.  standard: where it is defined, '' if in no single one.

    needs_context: a term only near another one.  near: words of which that other one has to hold one, where any will not do.
    has_case: only as written.
    """

    name: str
    names: tuple[str, ...]
    category: str
    standard: str
    needs_context: bool = False
    near: tuple[str, ...] = ()
    has_case: bool = False


@functools.cache
def entries() -> tuple[Entry, ...]:
    """The list as it stands in `terms.toml`."""
    groups = [(category, group) for category, group in _table().items() if isinstance(group, dict)]
    return tuple(entry for category, group in groups for entry in _group(category, **group))


def ordinary_words() -> tuple[str, ...]:
    """Words of everyday language that no term may tear apart or stand in."""
    return tuple(_table()["ordinary"])


def chinese_names() -> list[str]:
    """The names that are Chinese characters only, sorted: what a word segmenter can be taught."""
    return sorted({name for entry in entries() for name in entry.names if _HAN.fullmatch(name)})


def spellings(name: str) -> Iterator[str]:
    """`name` first, then every other way of writing it: other words for its parts, a space or a hyphen more or less, a plural."""
    yield from dict.fromkeys(spelling for word in _reworded(name) for spelling in _respelled(word))


def _reworded(name: str) -> list[str]:
    """A Chinese name with other words for its parts: 杂凑, 哈希. One that is such a word itself stays: it may be ordinary."""
    words = [name]
    if name.isascii():
        return words
    for old in dict.fromkeys(_same_words().findall(name)):
        others = _table_of_same()[old]
        if name not in others:
            words += [word.replace(old, new) for word in words for new in others if new != old]
    return words


def _respelled(name: str) -> Iterator[str]:
    """S 盒, Diffie Hellman, public-key, premaster secret, Vigenere, cipher suites."""
    yield name
    if _ONLY_HAN.fullmatch(name):
        return
    for spelling in dict.fromkeys((name, _plain(name))):
        yield from (spelling, _SCRIPT_CHANGE.sub(" ", spelling), _GAP.sub("-", spelling, count=1), _GAP.sub("-", spelling))
        if "-" in spelling:
            yield from (_HYPHEN.sub(" ", spelling), _JOINED.sub("", spelling))
            yield from (_HAN_HYPHEN.sub(dash, spelling) for dash in "—·")
        if spelling[-1].isascii() and len(spelling) > 4:
            yield from (plural for ending, more in _PLURALS if (plural := ending.sub(more, spelling)) != spelling)


def _plain(name: str) -> str:
    """Without accents."""
    return name if name.isascii() else "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))


@functools.cache
def _table_of_same() -> dict[str, list[str]]:
    return {word: group for group in _table()["same"] for word in group}


@functools.cache
def _same_words() -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, _table_of_same()), key=len, reverse=True)))


def _group(category: str, terms: list[dict], alone: Sequence[str] = (), alone_in_context: Sequence[str] = ()) -> Iterator[Entry]:
    yield from (_entry(category, **term) for term in terms)
    yield from (Entry(name, (name,), category, "") for name in alone)
    yield from (Entry(name, (name,), category, "", needs_context=True) for name in alone_in_context)


def _entry(category: str, names: list[str], standard: str, context: bool | list[str] = False, case: bool = False) -> Entry:
    return Entry(names[0], tuple(names), category, standard, bool(context), () if context is True or not context else tuple(context), case)


@functools.cache
def _table() -> dict:
    return tomli.loads(_FILE.read_text(encoding="utf-8"))

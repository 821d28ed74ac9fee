"""The curated list of cryptography terms, `terms.toml`, and every way of writing each of its names. It looks at no text."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import tomli
from msgspec import Struct

_FILE = Path(__file__).with_name("terms.toml")
_SCRIPT_CHANGE = re.compile("(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])")
_HYPHEN, _GAP = re.compile("(?<=[A-Za-z])-(?=[A-Za-z])"), re.compile("(?<=[a-z]) (?=[a-z])")
_HAN = re.compile("[\u4e00-\u9fd5]{2,}")


class Entry(Struct, frozen=True):
    """names: all ways of writing the term, `name` first.  standard: where it is defined, '' if in no single one.

    needs_context: a term only near another one.  has_case: only as written.
    """

    name: str
    names: tuple[str, ...]
    category: str
    standard: str
    needs_context: bool = False
    has_case: bool = False


@functools.cache
def entries() -> tuple[Entry, ...]:
    """The list as it stands in `terms.toml`."""
    return tuple(
        Entry(term["names"][0], tuple(term["names"]), category, term["standard"], term.get("context", False), term.get("case", False))
        for category, group in _table().items()
        if isinstance(group, dict)
        for term in group["terms"]
    )


def ordinary_words() -> tuple[str, ...]:
    """Words of everyday language that no term may tear apart or stand in."""
    return tuple(_table()["ordinary"])


def chinese_names() -> list[str]:
    """The names that are Chinese characters only, sorted: what a word segmenter can be taught."""
    return sorted({name for entry in entries() for name in entry.names if _HAN.fullmatch(name)})


def spellings(name: str) -> Iterator[str]:
    """`name` and what a space more or a hyphen less makes of it: S 盒, Diffie Hellman, public-key."""
    yield from dict.fromkeys((name, _SCRIPT_CHANGE.sub(" ", name), _HYPHEN.sub(" ", name), _GAP.sub("-", name, count=1)))


@functools.cache
def _table() -> dict:
    return tomli.loads(_FILE.read_text(encoding="utf-8"))

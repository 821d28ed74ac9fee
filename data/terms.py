"""Cryptography terms in a text: names from `terms.toml` by Aho-Corasick, standards and parameters by pattern, longest match wins.

Apart from word segmentation, because names with slashes, spaces or full-width letters are no words to it (docs/log.md).
Offsets are those of the text as given.
"""

import functools
import re
from pathlib import Path

import ahocorasick
import tomli
from msgspec import Struct

_FILE = Path(__file__).with_name("terms.toml")

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}

_PATTERNS = {
    "standard": (
        r"(?:GB|GM|JR|GA|YD|DL)\s?/\s?[TZ]\s?\d{4,5}(?:\.\d{1,2})?(?:\s?[-—–]{1,2}\s?(?:19|20)\d{2})?"
        r"|GB\s?\d{4,5}(?:\.\d{1,2})?[-—–]{1,2}(?:19|20)\d{2}"
        r"|ISO(?:/IEC)?\s?\d{4,5}(?:-\d{1,2})?(?::\d{4})?"
        r"|FIPS\s?(?:PUB\s?)?\d{2,3}(?:-\d)?"
        r"|NIST\sSP\s?800-\d{1,3}[A-Z]?"
        r"|RFC\s?\d{3,5}"
        r"|PKCS\s?#?\d{1,2}"
    ),
    "algorithm": (
        r"SM[1-9](?:[-_](?:ECB|CBC|CFB|OFB|CTR|GCM|CCM|XTS|MAC|HMAC))?"
        r"|(?:AES|Camellia|ARIA)[-_]?(?:128|192|256)(?:[-_](?:ECB|CBC|CFB|OFB|CTR|GCM|CCM|XTS))?"
        r"|(?:AES|DES|3DES|SM4)[-_](?:ECB|CBC|CFB|OFB|CTR|GCM|CCM|XTS)"
        r"|RSA[-_]?(?:512|768|1024|2048|3072|4096|7680|8192|15360)"
        r"|SHA3?[-_]?(?:224|256|384|512)(?:/(?:224|256))?"
        r"|HMAC[-_](?:SM3|MD5|SHA[-_]?(?:1|224|256|384|512))"
        r"|ML-KEM-(?:512|768|1024)|ML-DSA-(?:44|65|87)|Kyber(?:512|768|1024)"
        r"|(?:TLS|SSL)\s?v?[123]\.[0-3]"
    ),
    "hex": r"0x[0-9A-Fa-f]{2,}|(?=[0-9A-Fa-f]*[0-9])(?=[0-9A-Fa-f]*[A-Fa-f])(?:[0-9A-F]{16,}|[0-9a-f]{16,})",
    "base64": (
        r"(?<![+/])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])"
        r"(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
    ),
}
"""What has too many values to list. Each stands between characters that are no part of a Latin word.

Base64 starts only where a run of its letters does: looking ahead from each slash of a long run would take quadratic time.
"""

_SCANNER = re.compile("|".join(rf"(?P<{name}>(?<![A-Za-z0-9_])(?:{pattern})(?![A-Za-z0-9_]))" for name, pattern in _PATTERNS.items()))


class Term(Struct, frozen=True):
    """text: as it stands at [start, end).  name: the one name of the term.  standard: where it is defined, '' if nowhere."""

    text: str
    start: int
    end: int
    name: str
    category: str
    standard: str = ""


class Entry(Struct, frozen=True):
    """A term of the list: its name, all ways of writing it (name included), category and standard."""

    name: str
    names: tuple[str, ...]
    category: str
    standard: str


def find_terms(text: str) -> list[Term]:
    """The terms of a text in order, none overlapping another; where several could start, the longest."""
    flat = text.translate(_FULL_WIDTH)
    found = sorted([*_listed(flat), *_patterned(flat)], key=lambda term: (term[0], -term[1]))
    terms: list[Term] = []
    for start, end, name, category, standard in found:
        if not terms or start >= terms[-1].end:
            terms.append(Term(text[start:end], start, end, name, category, standard))
    return terms


@functools.cache
def entries() -> tuple[Entry, ...]:
    """The list as it stands in `terms.toml`."""
    table = tomli.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Entry(term["names"][0], tuple(term["names"]), category, term["standard"])
        for category, group in table.items()
        for term in group["terms"]
    )


def _listed(flat: str) -> list[tuple[int, int, str, str, str]]:
    """Matches of listed names, Latin ones only as whole words."""
    lowered = _lowered(flat)
    matches = []
    for last, (name, entry) in _automaton().iter(lowered):
        start, end = last - len(name) + 1, last + 1
        if _needs_case(name) and flat[start:end] != name:
            continue
        if _is_inside_word(flat, start, end):
            continue
        matches.append((start, end, entry.name, entry.category, entry.standard))
    return matches


def _patterned(flat: str) -> list[tuple[int, int, str, str, str]]:
    matches = []
    for match in _SCANNER.finditer(flat):
        category = match.lastgroup or ""
        name = match[0]
        if category == "standard":
            name = _standard_name(name)
        matches.append((match.start(), match.end(), name, category, name if category == "standard" else ""))
    return matches


def _standard_name(text: str) -> str:
    """GB/T 39786-2021 for every way of spacing and dashing it."""
    text = re.sub(r"\s?/\s?", "/", re.sub(r"\s?[-—–]{1,2}\s?", "-", text))
    text = re.sub(r"^PKCS\s?#?", "PKCS#", re.sub(r"^FIPS\s?PUB", "FIPS", text))
    return re.sub(r"^([A-Z/]+?)\s?(?=\d)", r"\1 ", text)


@functools.cache
def _automaton() -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for entry in entries():
        for name in entry.names:
            automaton.add_word(_lowered(name), (name, entry))
    automaton.make_automaton()
    return automaton


def _lowered(text: str) -> str:
    """Lower case of the same length: a few letters (İ) would grow."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _needs_case(name: str) -> bool:
    """Short Latin names are words in lower case: "des", "mac", "ssl" in an address."""
    return len(name) <= 3 and name.isascii() and name.isalpha()


def _is_inside_word(text: str, start: int, end: int) -> bool:
    """Whether a name that begins or ends with a Latin letter or digit goes on beyond its match."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return (_is_latin(text[start]) and _is_latin(before)) or (_is_latin(text[end - 1]) and _is_latin(after))


def _is_latin(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_") if character else False

"""Chinese text: widths made uniform, words, shares of languages, signs of damage. Cryptography terms are `data.terms`.

Words are rjieba's, which segments as jieba 0.42 does at sixteen times its speed (docs/log.md).
"""

import re
import unicodedata
from typing import NamedTuple

import rjieba

_WIDTHS = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))} | {0x3000: 0x20}
"""Full-width letters, digits and space; full-width punctuation belongs to Chinese and stays."""

_SCRIPTS = {
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"),
    "en": re.compile("[A-Za-z]+"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "ru": re.compile("[\u0400-\u04ff]+"),
}
"""A word of an alphabet counts as much as a Chinese character: both are about one token."""

_HAN_RUN = re.compile("[\u3400-\u9fff\ue000-\uf8ff\ufe30-\ufe6f\u2500-\u257f\u20ac]{6,}")
_CHINESE = re.compile("[\x20-\x7e]*(?:[\u2010-\u2026\u3000-\u303f\u3400-\u9fff\uff00-\uffef][\x20-\x7e]*)+")
_LATIN_RUN = re.compile("[\x80-\xff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]{2,}")
_CP1252 = {bytes([byte]).decode("cp1252"): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_UTF8_SEQUENCE = re.compile(
    b"[\xc2\xc3][\x80-\xbf]|[\xe2-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}"
)
"""Two-byte sequences only of Latin letters: other leads occur in real words, as in "VOCÊ…"."""
_RUINS = ("\ufffd", "锟斤拷", "烫烫烫", "屯屯屯")
"""What is left when text was decoded wrongly and saved: nothing brings it back."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


class Invisible(NamedTuple):
    """start: place in the text.  name: Unicode's name of the character, or its code."""

    start: int
    name: str


def normalise(text: str) -> str:
    """Composed characters, half-width letters and digits, plain line ends, no invisible characters; wording is untouched."""
    # The invisible go first: one of them between a letter and its accent would keep the two from being composed.
    hidden = {invisible.start for invisible in invisible_characters(text)}
    shown = "".join(character for place, character in enumerate(text) if place not in hidden) if hidden else text
    return unicodedata.normalize("NFC", shown.replace("\r\n", "\n").replace("\r", "\n").translate(_WIDTHS))


def words(text: str) -> list[str]:
    """The text cut into words, nothing left out: Chinese as `jieba.lcut` cuts it, while names such as `is_prime` stay whole."""
    return rjieba.cut(text)


def language_shares(text: str) -> dict[str, float]:
    """Share of each language's units (characters, or words of an alphabet), largest first; {} for a text without letters."""
    counts = {language: len(pattern.findall(text)) for language, pattern in _SCRIPTS.items()}
    if counts["ja"] * 5 > counts["zh"]:
        # Japanese is written with kana and Han together; a single の in a Chinese text is decoration.
        counts["ja"], counts["zh"] = counts["ja"] + counts["zh"], 0
    total = sum(counts.values())
    return {language: count / total for language, count in sorted(counts.items(), key=lambda pair: -pair[1]) if count}


def looks_garbled(text: str) -> bool:
    """Whether the text was once decoded with the wrong encoding: UTF-8 read as GBK or Latin, or already lost."""
    if any(ruin in text for ruin in _RUINS):
        return True
    runs = (_HAN_RUN.finditer(text), _is_utf8_as_gbk), (_LATIN_RUN.finditer(text), _is_utf8_as_latin)
    return any(is_garbled(run[0]) for found, is_garbled in runs for run in found)


def invisible_characters(text: str) -> list[Invisible]:
    """Characters that show nothing or turn the direction of what follows, joiners and selectors of emoji apart."""
    return [
        Invisible(found.start(), unicodedata.name(found[0], f"U+{ord(found[0]):04X}"))
        for found in _INVISIBLE.finditer(text)
        if not _belongs_to_emoji(text, found.start())
    ]


def _is_utf8_as_gbk(run: str) -> bool:
    """Chinese that encodes in GBK to valid UTF-8 is no coincidence from six characters on (four still meet it in real data)."""
    encoded = run.encode("gb18030", "ignore")
    # A run may start or end in the middle of a character of the original.
    for start in range(3):
        for end in range(len(encoded), max(start, len(encoded) - 3), -1):
            try:
                decoded = encoded[start:end].decode("utf-8")
            except UnicodeDecodeError:
                continue
            if _CHINESE.fullmatch(decoded):
                return True
    return False


def _is_utf8_as_latin(run: str) -> bool:
    encoded = bytes(_CP1252.get(character, ord(character)) for character in run if character in _CP1252 or ord(character) < 256)
    return _UTF8_SEQUENCE.search(encoded) is not None


def _belongs_to_emoji(text: str, place: int) -> bool:
    if text[place] not in "\u200d\ufe0e\ufe0f" or place == 0:
        return False
    before = text[place - 1]
    if text[place] == "\u200d" and before == "\ufe0f":
        return _belongs_to_emoji(text, place - 1)
    return unicodedata.category(before) in ("So", "Sk", "Sm") or before in "#*0123456789‼⁉〰ℹ"

"""Chinese text: widths made uniform, shares of languages, Simplified or Traditional, characters that show nothing.

Words are `data.words`, text in the wrong encoding `data.mojibake`, cryptography terms `data.terms`.
"""

import functools
import re
import unicodedata
from string import ascii_letters
from typing import NamedTuple

from data.errors import DataError

_WIDTHS = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))} | {0x3000: 0x20}
"""Full-width letters, digits and space; full-width punctuation belongs to Chinese and stays."""

_WIDE = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u3000]")
_CHARACTER_RANGES = {
    "zh": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3134F)),
    "ja": ((0x3040, 0x30FF),),
    "ko": ((0xAC00, 0xD7AF),),
}
_WORD_RANGES = {"en": ((0x41, 0x5A), (0x61, 0x7A)), "ru": ((0x400, 0x4FF),)}
"""A word of an alphabet counts as much as a Chinese character: both are about one token."""

LANGUAGES = _CHARACTER_RANGES | _WORD_RANGES
_RUNS = {
    language: re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in ranges)}]+") for language, ranges in LANGUAGES.items()
}
_PRESENTATION = re.compile("[\u2e9f\u2ef3\u2f00-\u2fd5\ufb00-\ufb06]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


_SURELY = 0.6
_LATIN_LETTERS = bytes(byte if chr(byte) in ascii_letters else 0x20 for byte in range(256))
"""Every other byte as a space."""
_HAN_BYTES, _KANA_BYTE = bytes(range(0x4E, 0xA0)), b"\x30"
"""Upper bytes of most Han characters, and of kana (with some punctuation), in UTF-16."""

_FEW = 3
"""Characters of the other script that occur in any text, as in the name 甄嬛."""


class Invisible(NamedTuple):
    """start: place in the text.  name: Unicode's name of the character, or its code."""

    start: int
    name: str


def without_invisible(text: str) -> str:
    """The text without what `invisible_characters` finds."""
    hidden = {invisible.start for invisible in invisible_characters(text)}
    return "".join(character for place, character in enumerate(text) if place not in hidden) if hidden else text


def without_space(text: str) -> str:
    """The text without its white space, of whatever kind."""
    return "".join(text.split())


def plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def half_width(text: str) -> str:
    """Full-width letters, digits and spaces in half width, as in Unicode's NFKC; full-width punctuation is Chinese and stays."""
    return text.translate(_WIDTHS) if _WIDE.search(text) else text


def whole_characters(text: str) -> str:
    """Radicals and ligatures that PDF files leave for characters (⼯ for 工, ﬁ for fi), as in NFKC; ², ① and ½ stay what they are."""
    return _PRESENTATION.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)


def composed(text: str) -> str:
    """Letters and their accents as one character (NFC)."""
    return unicodedata.normalize("NFC", text)


def simplified(text: str) -> str:
    """The text in Simplified characters, by OpenCC's word lists. Raises DataError where OpenCC is not installed."""
    return _converter("t2s").convert(text)


def traditional(text: str) -> str:
    """The text in Traditional characters, by OpenCC's word lists. Raises DataError where OpenCC is not installed."""
    return _converter("s2t").convert(text)


def script_of(text: str) -> str:
    """simplified, traditional, mixed, or '' for a text that holds no character which differs between the two.

    A character counts when only one of GB 2312 and Big5 has it; a tenth of the other kind, three at least, makes a text mixed.
    """
    patterns = _one_script_only()
    has_simple, has_other = (bool(pattern.search(text)) for pattern in patterns)
    if not (has_simple and has_other):
        return "simplified" if has_simple else "traditional" if has_other else ""
    simple, other = (sum(map(len, pattern.findall(text))) for pattern in patterns)
    if min(simple, other) >= _FEW and min(simple, other) * 10 >= simple + other:
        return "mixed"
    return "simplified" if simple > other else "traditional"


def language_shares(text: str) -> dict[str, float]:
    """Share of each language's units (characters, or words of an alphabet), largest first; {} for a text without letters."""
    runs = {language: pattern.findall(text) for language, pattern in _RUNS.items()}
    found = {language: len(those) if language in _WORD_RANGES else sum(map(len, those)) for language, those in runs.items()}
    if found["ja"] * 5 > found["zh"]:
        # Japanese is written with kana and Han together; a single の in a Chinese text is decoration.
        found["ja"], found["zh"] = found["ja"] + found["zh"], 0
    total = sum(found.values())
    return {language: found[language] / total for language in sorted(found, key=found.__getitem__, reverse=True) if found[language]}


def main_language(text: str, share: float = 0.0) -> str:
    """The first language of `language_shares` if it makes up at least `share` of the units, else ''."""
    if share <= _SURELY and _is_surely_chinese(text):
        return "zh"
    language, part = next(iter(language_shares(text).items()), ("", 0.0))
    return language if part >= share else ""


def _is_surely_chinese(text: str) -> bool:
    """Whether so many characters are Han that no unit of any other kind could matter: a sixth of the work of counting them all."""
    high = text.encode("utf-16-le", "surrogatepass")[1::2]
    han = len(high) - len(high.translate(None, _HAN_BYTES))
    if not han or high.count(_KANA_BYTE) * 5 > han:
        return False
    if _SURELY * len(high) <= han:
        return True
    # Formulas and tables: nothing below U+0100 is a unit of any language but words of Latin letters.
    words = len(text.encode("ascii", "replace").translate(_LATIN_LETTERS).split())
    return _SURELY * (len(high) - high.count(0) + words) <= han


def invisible_characters(text: str) -> list[Invisible]:
    """Characters that show nothing or turn the direction of what follows, joiners and selectors of emoji apart."""
    return [
        Invisible(found.start(), unicodedata.name(found[0], f"U+{ord(found[0]):04X}"))
        for found in _INVISIBLE.finditer(text)
        if not _belongs_to_emoji(text, found.start())
    ]


@functools.cache
def _one_script_only() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Runs of characters that only GB 2312 (Simplified) has, and of those that only Big5 (Traditional) has."""
    han = [chr(code) for code in range(0x4E00, 0xA000)]
    sets = [{character for character in han if character.encode(codec, "ignore")} for codec in ("gb2312", "big5")]
    simple, other = "".join(sorted(sets[0] - sets[1])), "".join(sorted(sets[1] - sets[0]))
    return re.compile(f"[{simple}]+"), re.compile(f"[{other}]+")


@functools.cache
def _converter(direction: str):
    """OpenCC's converter; it is an optional package, loaded when asked for."""
    try:
        import opencc  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError("OpenCC, which converts Traditional and Simplified, is not installed; pip install 'danlu[chinese]'") from None
    return opencc.OpenCC(direction)


def _belongs_to_emoji(text: str, place: int) -> bool:
    if text[place] not in "\u200d\ufe0e\ufe0f" or place == 0:
        return False
    before = text[place - 1]
    if text[place] == "\u200d" and before == "\ufe0f":
        return _belongs_to_emoji(text, place - 1)
    return unicodedata.category(before) in ("So", "Sk", "Sm") or before in "#*0123456789‼⁉〰ℹ"

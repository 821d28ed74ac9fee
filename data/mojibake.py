"""Text that was decoded with the wrong encoding: where it is, and what it was, when its bytes are still all there.

UTF-8 read as GBK (the Chinese case), or as one of the 8-bit encodings of the West and East. What is lost (锟斤拷, U+FFFD) is
seen and not repaired. Nothing is changed here: `repaired` gives a new text, which a person takes or leaves.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

RUINS = ("\ufffd", "锟斤拷", "烫烫烫", "屯屯屯")
"""What is left when text was decoded wrongly and saved: nothing brings it back."""

_CODECS = ("cp1252", "mac_roman", "cp1251", "cp1250", "cp437")
_SURE_STARTS = {"cp1252": "ÂÃ", "mac_roman": "√"}
"""What two characters must begin with to be taken for one letter: real words hold most other pairs, as in "VOCÊ…"."""
_LONG = 3
"""From this many characters on, bytes that are valid UTF-8 are no coincidence in any of the encodings."""


class Repair(NamedTuple):
    """text[start:end] was `after`."""

    start: int
    end: int
    after: str


def looks_garbled(text: str) -> bool:
    """Whether the text was once decoded with the wrong encoding, repairable or already lost."""
    return not text.isascii() and (any(ruin in text for ruin in RUINS) or next(repairs(text), None) is not None)


def repaired(text: str) -> str:
    """The text with every repair made, until there is none left (text can be garbled twice)."""
    for _ in range(3):
        found = sorted(repairs(text))
        if not found:
            break
        for one in reversed(found):
            text = text[: one.start] + one.after + text[one.end :]
    return text


def repairs(text: str) -> Iterator[Repair]:
    """Each garbled stretch that can be decoded again; none overlapping another."""
    if text.isascii():
        return
    if _GBK_SIGN.search(text):
        yield from _from_gbk(text)
    for run in _BYTE_RUN.finditer(text):
        if after := _from_bytes(run[0]):
            yield Repair(run.start(), run.end(), after)


def _from_gbk(text: str) -> Iterator[Repair]:
    """Stretches of Chinese whose GBK bytes are UTF-8: no coincidence from six characters on (four still meet it in real data)."""
    # What is lost has bytes of its own in GB18030, and the first of them would end a character that never was.
    pieces = [b"\xff" if character == "\ufffd" else character.encode("gb18030", "ignore") for character in text]
    ends = list(accumulate(map(len, pieces)))
    for stretch in _UTF8_CHINESE.finditer(b"".join(pieces)):
        # A character whose other half lies outside is broken anyway, and goes.
        start, end = bisect_right(ends, stretch.start()), bisect_left(ends, stretch.end()) + 1
        yield Repair(start, end, stretch[0].decode("utf-8", "ignore"))


def _from_bytes(run: str) -> str | None:
    """What a run of characters of an 8-bit encoding was, None when it is what it seems."""
    for codec in _CODECS:
        if len(run) < _LONG and run[0] not in _SURE_STARTS.get(codec, ""):
            continue
        if codec == "mac_roman" and "π" in run:
            continue  # √π is mathematics
        table = _TABLES[codec]
        try:
            decoded = bytes(table[character] for character in run).decode("utf-8")
        except (KeyError, UnicodeDecodeError):
            continue
        if _is_plausible(decoded):
            return decoded
    return None


def _is_plausible(decoded: str) -> bool:
    """Printable, and its letters of one script."""
    scripts = {unicodedata.name(character, "?").split(" ", 1)[0] for character in decoded if character.isalpha()}
    return len(scripts) <= 1 and all(character.isprintable() or character == "\xa0" for character in decoded) and not _RARE.search(decoded)


def _table(codec: str) -> dict[str, int]:
    """Character → byte for the upper half of an 8-bit encoding; bytes without a character stand for themselves."""
    table = {}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(codec, "ignore") or chr(byte)
        table[character] = byte
        if codec == "cp1252":
            table.setdefault(chr(byte), byte)
    return table


def _gbk_leads() -> str:
    """Characters that the first two bytes of a Chinese UTF-8 character make in GBK; rare in real text."""
    pairs = (bytes([lead, trail]) for lead in (*range(0xE3, 0xEA), 0xEF) for trail in range(0x80, 0xC0))
    return "".join(pair.decode("gbk", "ignore") for pair in pairs)


_TABLES = {codec: _table(codec) for codec in _CODECS}
_BYTE_RUN = re.compile(f"[{re.escape(''.join(sorted(set().union(*_TABLES.values()))))}]{{2,}}")
_UTF8_CHINESE = re.compile(b"(?:(?:[\xe3-\xe9\xef][\x80-\xbf]{2}|\xe2\x80[\x90-\xbf])[\x20-\x7e]*){3,}[\xe3-\xe9\xef][\x80-\xbf]{2}")
_RARE = re.compile("[\u1d00-\u1dbf]")
"""Phonetic signs, which three characters of real Portuguese make by coincidence."""
_GBK_SIGN = re.compile(f"[{_gbk_leads()}]..[{_gbk_leads()}]")
"""Three UTF-8 bytes a character, two bytes a GBK character: the signs come three apart."""

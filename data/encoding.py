"""Which encoding the bytes of a data file are in: UTF-8 with or without BOM, UTF-16, UTF-32, GB18030 (GBK), Big5.

Never guesses silently past damage: a damaged character becomes a surrogate, which no strict reader lets through, so that only its
record is lost.
"""

import codecs
import re
from collections.abc import Iterable

UTF8 = "utf-8"

_BOMS = (
    (codecs.BOM_UTF8, UTF8), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ESCAPED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f]")
_PAIR = re.compile(b"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_EDGE = re.compile(b"[\n \",]")
"""Bytes under 0x30 are never the second half of a character in GB18030 or Big5."""
_LEAST_SHARE = 0.5
"""Of `_share_of_frequent` in Chinese text: Traditional in GBK has 0.7. In Größe, read as GBK, none is frequent."""
_CODECS = {"big5": "big5hkscs"}
"""Where Python's codec of the name knows fewer characters than files in the field hold."""


def detect(head: bytes, others: Iterable[bytes] = ()) -> tuple[str, int]:
    """Name of the encoding, and how many bytes its BOM takes.

    head: the beginning of the file.  others: pieces from further on, looked at while nothing but ASCII was seen.
    What is in none of the known ones counts as damaged UTF-8.
    """
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name, len(bom)
    if name := _utf16_without_bom(head):
        return name, 0
    pieces = others if head.isascii() else [head]
    for piece in pieces:
        trimmed = piece if piece is head else _from_edge(piece)
        if not trimmed.isascii():
            return _of_chinese(_to_edge(trimmed)), 0
    return UTF8, 0


def decode(data: bytes) -> tuple[str, str]:
    """Text and name of its encoding; what is no character comes out as surrogates."""
    name, skip = detect(data)
    return decoder(name).decode(data[skip:], True), name


def decoder(name: str) -> codecs.IncrementalDecoder:
    """For text in the encoding `name` that comes in pieces; what is no character comes out as surrogates."""
    # Half a character of UTF-16 has no byte to escape; a replacement character shows instead.
    return codecs.getincrementaldecoder(_CODECS.get(name, name))("replace" if name.startswith(("utf-16", "utf-32")) else "surrogateescape")


def _of_chinese(data: bytes) -> str:
    try:
        data.decode(UTF8)
    except UnicodeDecodeError:
        text = data.decode(UTF8, "surrogateescape")
        # In GB18030 nearly every Chinese byte is wrong as UTF-8; in a damaged UTF-8 file nearly none is.
        if len(_ESCAPED.findall(text)) * 2 >= len(_NON_ASCII.findall(text)):
            shares = {name: _share_of_frequent(data, name) for name in ("gb18030", "big5") if _reads(data, name)}
            best = max(shares, key=shares.__getitem__, default=UTF8)
            return best if shares.get(best, 0) >= _LEAST_SHARE else UTF8
    return UTF8


def _reads(data: bytes, name: str) -> bool:
    try:
        data.decode(_CODECS.get(name, name))
    except UnicodeDecodeError:
        return False
    return True


def _share_of_frequent(data: bytes, name: str) -> float:
    """Share of two-byte characters in the block where the encoding keeps its frequent ones and its punctuation.

    GB2312 has them at B0A1 to D7FE, Big5 at A440 to C67E. Text of one read as the other puts about half outside.
    """
    found = _PAIR.findall(data[: 1 << 16])
    if name == "big5":
        frequent = sum(0xA1 <= pair[0] <= 0xC6 for pair in found)
    else:
        frequent = sum((0xB0 <= pair[0] <= 0xD7 or 0xA1 <= pair[0] <= 0xA3) and pair[1] >= 0xA1 for pair in found)
    return frequent / len(found) if found else 0.0


def _utf16_without_bom(data: bytes) -> str | None:
    """JSON starts with an ASCII character, so its other byte is zero."""
    if len(data) < 2 or data[:2].count(0) != 1:
        return None
    return "utf-16-le" if data[1] == 0 else "utf-16-be"


def _from_edge(piece: bytes) -> bytes:
    """A piece from the midst of a file, from its first certain boundary of characters on."""
    edge = _EDGE.search(piece)
    return piece[edge.end() :] if edge else b""


def _to_edge(piece: bytes) -> bytes:
    """The same up to its last certain boundary, so that no character is cut."""
    last = max(piece.rfind(edge) for edge in (b"\n", b" ", b'"', b","))
    return piece[: last + 1] if last >= len(piece) - 4096 else piece

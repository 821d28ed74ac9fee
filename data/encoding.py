"""Bytes of a data file into text: UTF-8 with or without BOM, UTF-16, UTF-32, GB18030. Never guesses silently past damage.

Single damaged bytes in a UTF-8 file stay visible as surrogate escapes (U+DC80 to U+DCFF), so that only their record is lost.
"""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ESCAPED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f]")


def decode(data: bytes) -> tuple[str, str]:
    """Text and name of its encoding. Raises UnicodeDecodeError when it is neither UTF-8, UTF-16, UTF-32 nor GB18030."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(name, "surrogateescape" if name == "utf-8" else "strict"), name
    if name := _utf16_without_bom(data):
        return data.decode(name), name
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "surrogateescape")
        # In GB18030 nearly every Chinese byte is wrong as UTF-8; in a damaged UTF-8 file nearly none is.
        escaped = len(_ESCAPED.findall(text))
        if escaped * 2 < len(_NON_ASCII.findall(text)):
            return text, "utf-8"
        try:
            return data.decode("gb18030"), "gb18030"
        except UnicodeDecodeError:
            raise error from None


def is_damaged(text: str) -> bool:
    """Whether `decode` met bytes in this part of the text that are no UTF-8."""
    return _ESCAPED.search(text) is not None


def _utf16_without_bom(data: bytes) -> str | None:
    """JSON starts with an ASCII character, so its other byte is zero."""
    if len(data) % 2 or len(data) < 2 or data[:2].count(0) != 1:
        return None
    return "utf-16-le" if data[1] == 0 else "utf-16-be"

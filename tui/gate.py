"""The one gate for outside text: data, model output, log lines, file names, error messages.

What comes out is harmless on a terminal and reads as what went in: control characters, escape sequences, bidirectional
and zero-width controls are made visible. Content objects carry it to the screen; markup never sees it.
"""

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from textual.content import Content

TAB = "    "

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\uffff\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)  # fmt: skip
_ESCAPE = re.compile("⟨U\\+((?:10|0?[0-9A-F])?[0-9A-F]{4})⟩")
_PRESENTATION = "\ufe0e\ufe0f"
"""Text or emoji style of the character before: dropped, because terminals disagree about the width it gives."""


def safe(text: str) -> str:
    """`text` as one harmless line: newlines become ␊, tabs spaces, controls visible, lone surrogates U+FFFD."""
    return _CONTROLS.sub(_visible, text)


def safe_lines(text: str) -> str:
    """The same with newlines kept."""
    return _CONTROLS.sub(_visible_in_lines, text)


def escaped(text: str) -> str:
    """`text` for an editor: newlines and tabs kept, other controls as ⟨U+001B⟩, and nothing lost: `unescaped` gives it back."""
    return with_codes(text.replace("⟨U+", "⟨U+27E8⟩U+"))


def escaped_line(text: str) -> str:
    """The same in one line, for a field: newlines and tabs as codes too."""
    return escaped(text).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")


def with_codes(text: str) -> str:
    """`text` with controls other than newlines and tabs as ⟨U+001B⟩."""
    return _CONTROLS.sub(_code_of, text)


def unescaped(text: str) -> str:
    """The text that `escaped` was given, or that a person wrote in its way; lone surrogates, which no file can hold, as U+FFFD."""
    found = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def in_json(json: str) -> str:
    """JSON with the characters that `safe` makes visible inside its strings written as \\uXXXX; line ends between them stay."""
    return _CONTROLS.sub(lambda match: match.group() if match.group() == "\n" else _escape(match.group()), json)


def cells(text: str) -> int:
    """Width of `text` in terminal cells."""
    return cell_len(text)


def clip(text: str, width: int) -> str:
    """`text` in at most `width` cells, with … where something was left out."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, used = [], 1
    for character in text:
        used += cell_len(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"


def clip_start(text: str, width: int) -> str:
    """The end of `text` in at most `width` cells, behind … where something was left out: it tells paths and fields apart."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return ("…" + text)[: max(width, 0)]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: clipped, or filled with spaces behind it (`right`: before it)."""
    text = clip(text, width)
    fill = " " * (width - cell_len(text))
    return fill + text if right else text + fill


def styled(text: str, style: str = "") -> "Content":
    """Outside text, newlines kept, as content with one style."""
    from textual.content import Content  # here, so that `danlu runs` starts without textual

    return Content.styled(safe_lines(text), style)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character == "\t":
        return TAB
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF or (code >= 0xFFFC and code <= 0xFFFF):
        return "\ufffd"
    return "" if character in _PRESENTATION else f"⟨U+{code:04X}⟩"


def _code_of(match: re.Match[str]) -> str:
    character = match.group()
    return character if character in "\n\t" else f"⟨U+{ord(character):04X}⟩"


def _visible_in_lines(match: re.Match[str]) -> str:
    return "\n" if match.group() == "\n" else _visible(match)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))

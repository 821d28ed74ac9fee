"""What may reach a terminal: characters that nothing obeys, and the few sequences that draw the screen. All else is foreign."""

import re
import unicodedata

HARMLESS_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Visible signs that Unicode files under format characters: Arabic and Kaithi number marks."""
HARMLESS_RANGES = ((0x13430, 0x1343F), (0x1BCA0, 0x1BCA3))
"""Egyptian and shorthand format controls, which no terminal obeys."""
DRAWING = re.compile(
    r"\x1b\[\d{1,4};\d{1,4}H"  # cursor to a place
    r"|\x1b\[0?m|\x1b\[(?:(?:[1-57-9]|2[1-57-9]|3[0-79]|4[0-79]|9[0-7]|10[0-7]|[34]8;2;\d{1,3};\d{1,3};\d{1,3})(?:;|(?=m)))+m"  # styles
    r"|\x1b\[\?(?:25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048|7)[hl]"  # cursor, mouse, focus, screen, paste, synchronised, wrap
    r"|\x1b\[\?(?:2026|2048)\$p"  # asks what the terminal can do
    r"|\x1b\[>\d{1,2}u|\x1b\[<u"  # kitty's keyboard, on and off
    r"|\x1b\]22;[a-z-]*\x07"  # shape of the mouse pointer
)


def is_harmless(character: str) -> bool:
    """Whether a terminal only shows it."""
    category = unicodedata.category(character)
    if category == "Cf":
        return character in HARMLESS_FORMATS or any(low <= ord(character) <= high for low, high in HARMLESS_RANGES)
    return category not in ("Cc", "Cs", "Zl", "Zp")


def find_foreign(text: str, is_screen: bool = False) -> str:
    """The first stretch that must not reach a terminal, with what stands around it; "" when there is none.

    is_screen: the drawing sequences are allowed as well, as in the bytes of a pseudo-terminal.
    """
    rest = DRAWING.sub("", text) if is_screen else text
    for index, character in enumerate(rest):
        if not is_harmless(character) and character not in "\n\r":
            return rest[max(0, index - 20) : index + 40]
    return ""

"""Faults of records in the user's words: the name of the kind, what it means and its cure, then what was seen.

The sentences of `data` are English; in another language the meaning comes from the catalogue, and what is left of the sentence follows.
"""

import re

from data import quality, thinking
from data.record import Fault
from data.text_checks import DAMAGE
from tui import gate
from tui.texts import has, language, tr

_MEANINGS = quality.CHECKS | DAMAGE | thinking.FAULTS
_SEEN = {"broken_json": r"(?<=\()[^()]* at column \d+", "empty": r"'[^']*'(?= is empty)", "bad_encoding": "", "too_deep": ""}
"""Of sentences that say no more than their meaning does: a pattern of what was seen."""


def code_name(code: str) -> str:
    """A fault's code in the user's words, where the catalogue knows it."""
    return tr(f"data.code.{code}") if has(f"data.code.{code}") else gate.safe(code.replace("_", " "))


def fault_text(fault: Fault) -> str:
    """The whole sentence, with the field it is about."""
    turn = re.fullmatch(r"turn (\d+)", fault.field)
    field = tr("data.turn", number=turn[1]) if turn else fault.field
    return coded(fault.code, fault.text, f"{field}: " if field and field not in fault.text else "")


def coded(code: str, text: str, field: str = "") -> str:
    """A sentence about a fault of that code; outside text. field: stands before it."""
    return tr("data.fault", name=code_name(code), text=gate.safe(field) + in_language(code, text))


def in_language(code: str, text: str) -> str:
    """The sentence of a fault of that code in the user's language, without its name; outside text."""
    about, text = f"data.about.{code}", gate.safe(text)
    if language() == "en" or not has(about):
        return text
    if code in _SEEN:
        found = re.search(_SEEN[code], text)
        seen = found[0] if found else text
    else:
        seen = text.removeprefix(_MEANINGS.get(code, "")).removeprefix(": ")
    return tr("data.fault_seen", about=tr(about), seen=seen) if seen else tr(about)

"""Faults of records in the user's words. The sentences are English (`tui.texts`), so the name of the kind stands before them."""

from data.record import Fault
from tui import gate
from tui.texts import has, tr


def code_name(code: str) -> str:
    """A fault's code in the user's words, where the catalogue knows it."""
    return tr(f"data.code.{code}") if has(f"data.code.{code}") else gate.safe(code.replace("_", " "))


def fault_text(fault: Fault) -> str:
    """The whole sentence, with the field it is about."""
    field = f"{fault.field}: " if fault.field and fault.field not in fault.text else ""
    return coded(fault.code, field + fault.text)


def coded(code: str, text: str) -> str:
    """A sentence about a fault of that code; outside text."""
    return tr("data.fault", name=code_name(code), text=gate.safe(text))

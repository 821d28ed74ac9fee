"""What is counted in data, in the user's words."""

from tui import gate
from tui.texts import has, tr


def named(kind: str, value: str) -> str:
    """A language, script or category of terms, as `data.name.<kind>` of the catalogue has it; another value as it is, made safe."""
    key = f"data.name.{kind}.{value}"
    return tr(key) if has(key) else gate.safe(value)

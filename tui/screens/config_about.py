"""What is said about the key under the cursor: what it does, what it takes, its default and the preset's value. No widgets."""

from engine.config import FieldInfo
from tui import gate
from tui.screens.config_editing import Editing
from tui.screens.config_form import help_text
from tui.texts import tr
from tui.widgets.lines import Line, wrap


def about_lines(editing: Editing, info: FieldInfo, width: int) -> list[Line]:
    """Help, allowed values, default and preset's value, wrapped to `width` cells."""
    lines = wrap([(help_text(info), "text")], width)
    lines += wrap([(tr("config.takes"), "dim"), (" ", ""), (allowed_text(info), "text")], width)
    facts: Line = [(tr("config.default"), "dim"), (" ", ""), (value_text(info.default), "text")]
    preset = gate.safe(editing.base.typed(info.key)) or tr("config.unset" if info.is_optional else "config.empty")
    named = gate.safe(editing.base.path.name) if editing.base.path else tr("config.opened")
    facts += [("   ", ""), (tr("config.in_preset", name=named), "dim"), (" ", ""), (gate.clip(preset, max(width - 4, 8)), "text")]
    return lines + wrap(facts, width)


def allowed_text(info: FieldInfo) -> str:
    """What the key takes, in the user's language: type, choices and bounds."""
    if info.kind == "choice":
        return tr("config.kind.choice", choices=", ".join(info.choices))
    text = tr(f"config.kind.{info.kind}")
    bounds = (("lowest", info.lowest), ("above", info.above), ("highest", info.highest), ("below", info.below))
    text += "".join(tr(f"config.bound.{name}", bound=f"{bound:.10g}") for name, bound in bounds if bound is not None)
    return text + tr("config.bound.optional") if info.is_optional else text


def value_text(value: object) -> str:
    """A default as one would type it."""
    if value is None:
        return tr("config.unset")
    if value in ("", []):
        return tr("config.empty")
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else gate.safe(str(value))

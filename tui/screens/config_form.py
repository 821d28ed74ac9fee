"""The form's lines: a section's heading, a key with its value, the start line. Pure functions of what is edited; no widgets."""

from dataclasses import dataclass, field

from engine.config import FieldInfo, fields
from tui import gate
from tui.glyphs import Glyphs
from tui.screens.config_editing import Editing
from tui.texts import language, tr
from tui.widgets.steady import Line

START = "start"
"""The form's last row, which is no key."""
NAME_CELLS = 28
KEYS = [*(info.key for info in fields()), START]
"""What the cursor stands on, in order."""
INFO: dict[str, FieldInfo] = {info.key: info for info in fields()}


@dataclass(frozen=True)
class Form:
    """What the form shows. faulty: keys of the last refusal.  found: keys a search matches."""

    editing: Editing
    cursor: str
    glyphs: Glyphs
    ascii: bool = False
    faulty: frozenset[str] = field(default_factory=frozenset)
    found: frozenset[str] = field(default_factory=frozenset)


def form_lines(form: Form, width: int) -> tuple[list[Line], int]:
    """All lines for a width in cells, and the number of the cursor's line."""
    lines: list[Line] = []
    at, section = 0, ""
    for key in KEYS:
        if key != START and INFO[key].section != section:
            section = INFO[key].section
            lines += ([[]] if lines else []) + [_heading(form, section, width)]
        if key == START:
            lines.append([])
        if key == form.cursor:
            at = len(lines)
        lines.append(_start_line(form, width) if key == START else _key_line(form, INFO[key], width))
    return lines, at


def shown(editing: Editing, info: FieldInfo) -> str:
    """The value in one harmless line; "" when there is none to show."""
    return gate.safe(editing.document.typed(info.key))


def help_text(info: FieldInfo) -> str:
    """The key's sentence in the user's language."""
    return info.help if language() == "en" else tr(f"config.help.{info.key}")


def matches(info: FieldInfo, wanted: str) -> bool:
    """Whether a search finds the key: all words in its name, value-free, or its help."""
    text = f"{info.key} {info.help} {help_text(info)}".lower()
    return all(word in text for word in wanted.lower().split())


def _heading(form: Form, section: str, width: int) -> Line:
    text = f" {section} "
    about = f" {tr(f'config.section.{section}')} "
    rule = form.glyphs.rule * max(0, width - gate.cells(text) - gate.cells(about) - 1)
    return [(text, "title"), (gate.clip(about, max(0, width - gate.cells(text))), "dim"), (rule, "rest")]


def _key_line(form: Form, info: FieldInfo, width: int) -> Line:
    is_here, is_changed = info.key == form.cursor, form.editing.is_changed(info.key)
    sign = form.glyphs.failed if info.key in form.faulty else "*" if is_changed else " "
    mark = f"{form.glyphs.current if is_here else ' '}{sign} "
    sign_style = "bad" if info.key in form.faulty else "accent"
    name_style = "accent" if info.key in form.found else "text"
    room = width - gate.cells(mark) - NAME_CELLS
    under = " cursor" if is_here else ""
    spans = [(mark, sign_style), (gate.pad(info.name, NAME_CELLS), name_style), *_value(form, info, is_here, room)]
    used = sum(gate.cells(text) for text, _ in spans)
    spans.append((" " * max(0, width - used), "text"))
    return [(text, (style + under).strip()) for text, style in spans]


def _value(form: Form, info: FieldInfo, is_here: bool, room: int) -> Line:
    text = shown(form.editing, info)
    is_changed = form.editing.is_changed(info.key)
    if not text:
        spans = [(f"({tr('config.unset' if info.is_optional else 'config.empty')})", "dim")]
    elif is_here and info.kind in ("choice", "flag"):
        left, right = ("<", ">") if form.ascii else ("‹", "›")
        spans = [(f"{left} ", "dim"), (text, "bright"), (f" {right}", "dim")]
    else:
        spans = [(text, "bright" if is_changed else "text")]
    if is_changed:
        before = gate.safe(form.editing.base.typed(info.key)) or tr("config.unset" if info.is_optional else "config.empty")
        spans.append((f"  ({tr('config.was', value=before)})", "dim"))
    return _clipped(spans, room)


def _clipped(spans: Line, room: int) -> Line:
    """`spans` in at most `room` cells, with … where something was left out."""
    kept: Line = []
    for text, style in spans:
        if room <= 0:
            break
        piece = gate.clip(text, room)
        kept.append((piece, style))
        room -= gate.cells(piece)
        if piece != text:
            break
    return kept


def _start_line(form: Form, width: int) -> Line:
    is_here = form.cursor == START
    text = f"{form.glyphs.current if is_here else ' '}  {tr('config.start_row')}"
    return [(gate.pad(text, width), "accent cursor" if is_here else "accent")]

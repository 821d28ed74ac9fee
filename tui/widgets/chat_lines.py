"""The lines over and between the answers: which model, how it stands, what will happen, which question. Pure functions."""

from engine import events
from tui.askable import Askable
from tui.chatting import Chat
from tui.exchanges import Exchange
from tui.gate import cells, clip, safe, safe_lines
from tui.glyphs import Glyphs
from tui.sentences import device_name, phase_detail, phase_name
from tui.summary import reference
from tui.texts import tr
from tui.widgets.lines import line_cells, wrap
from tui.widgets.meters import BAR_CELLS, bar
from tui.widgets.steady import Line

QUESTION_LINES = 3


def status_lines(chat: Chat | None, about: Askable | None, place: str, glyphs: Glyphs, width: int) -> list[Line]:
    """The run, its model, how far it is loaded; below it what went wrong.  place: which question is shown, at the right."""
    if chat is None:
        return [[]]
    sign, style = _sign(chat, glyphs)
    line: Line = [(f" {sign} ", style), (safe(chat.run.name), "bright"), ("  ", "")]
    line += _loading(chat.state.phase, glyphs) if chat.is_loading and chat.state.phase else [(_model(chat, about), "text")]
    line = _clipped(line, width - len(place) - 2)
    lines = [[*line, (" " * (width - line_cells(line) - line_cells([(place, "")]) - 1), ""), (place, "dim")] if place else line]
    return lines + (wrap([("   ", ""), (safe(chat.state.fault.reason), "warn")], width, "   ") if chat.state.fault else [])


def question_lines(exchange: Exchange, glyphs: Glyphs, width: int) -> list[Line]:
    """The whole question that both answer."""
    sign, rest = (f" {glyphs.current} ", "accent"), ("   ", "")
    paragraphs = safe_lines(exchange.prompt).split("\n")
    return [line for n, text in enumerate(paragraphs) for line in wrap([rest if n else sign, (text, "prompt")], width, "   ")]


def cut_question(lines: list[Line], width: int) -> list[Line]:
    """Its beginning, with a word on how the rest is seen; the lines themselves where they are few."""
    if len(lines) <= QUESTION_LINES:
        return lines
    more = tr("chat.question.more", n=len(lines) - QUESTION_LINES)
    last = _clipped(lines[QUESTION_LINES - 1], width - cells(more) - 2)
    return [*lines[: QUESTION_LINES - 1], [*last, (f" {more}", "dim")]]


def about_lines(chat: Chat | None, about: Askable | None, folder: str, glyphs: Glyphs, width: int) -> list[Line]:
    """What this screen is for and which key begins, as long as nothing has been asked."""
    if chat is None:
        nothing = _paragraph(tr("chat.about.no_run", folder=safe(folder)), "text", width)
        return [*nothing, [], *_paragraph(tr("chat.about.no_run_how"), "dim", width)]
    if about is None:
        return _paragraph(tr("chat.about.nothing_saved", name=safe(chat.run.name)), "text", width) if not chat.state.fault else []
    lines = _paragraph(tr("chat.about.what", name=safe(about.run.name), step=about.step), "text", width)
    lines += [[], *_paragraph(tr("chat.about.alone", name=safe(reference(chat.run))), "dim", width)]
    if chat.state.ready is None and not chat.is_loading:
        lines += [[], *_paragraph(tr("chat.about.loads", model=safe(about.model)), "dim", width)]
        if about.is_alive:
            lines += [[], *_paragraph(f"{glyphs.warning} {tr('chat.about.live')}", "warn", width)]
    return [*lines, [], *_paragraph(tr("chat.about.how"), "accent", width)]


def _sign(chat: Chat, glyphs: Glyphs) -> tuple[str, str]:
    if chat.state.fault:
        return glyphs.failed, "bad"
    return (glyphs.running, "good") if chat.state.ready else (glyphs.waiting, "accent")


def _model(chat: Chat, about: Askable | None) -> str:
    if (ready := chat.state.ready) is not None:
        parts = [safe(ready.model.rstrip("/").rpartition("/")[2]), tr("chat.pane.step", step=ready.step), device_name(ready.device)]
        return " · ".join([*parts, safe(ready.precision)])
    parts = [safe(about.model), tr("chat.pane.step", step=about.step)] if about else []
    stands = "failed" if chat.state.fault else "not_loaded" if about else "nothing_saved"
    return " · ".join([*parts, tr(f"chat.status.{stands}")])


def _loading(phase: events.Phase, glyphs: Glyphs) -> Line:
    line: Line = [(phase_name(phase.name), "text"), (" ", "")]
    if phase.total:
        share = min(1.0, phase.done / phase.total)
        line += [*bar(share, BAR_CELLS, glyphs), (f" {share:>4.0%} ", "text")]
    return [*line, (phase_detail(phase), "dim")]


def _paragraph(text: str, style: str, width: int) -> list[Line]:
    """In the middle, of a readable width, its lines beginning together."""
    wrapped = wrap([(text, style)], min(width, 76))
    indent = (width - max(map(line_cells, wrapped))) // 2
    return [[(" " * indent, ""), *line] for line in wrapped]


def _clipped(line: Line, width: int) -> Line:
    kept: Line = []
    for text, style in line:
        room = width - line_cells(kept)
        if room > 0:
            kept.append((clip(text, room), style))
    return kept

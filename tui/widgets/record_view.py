"""One record as lines: system, prompt, thinking and answer apart, terms and search hits marked, its problems in words."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from data.conversation import Conversation, Turn
from tui import gate
from tui.texts import tr
from tui.widgets.lines import Line, marked, wrap

PREVIEW_CHARACTERS = 6_000
"""Of each text beside the list: walking down the list must not lay out 300,000 characters a key."""

Mark = tuple[int, int, str]


class Look(NamedTuple):
    """How a record is shown. needle: text searched for, '' for none. terms: gives the (start, end) of the terms in a text."""

    fold_thinking: bool = False
    is_whole: bool = False
    needle: str = ""
    terms: Callable[[str], Iterable[tuple[int, int]]] = lambda text: ()
    ascii_only: bool = False


def record_lines(conversation: Conversation, facts: Line, problems: Sequence[str], look: Look, width: int) -> list[Line]:
    """facts: what stands above the texts.  problems: one sentence each; may hold outside text."""
    lines = _head(facts, problems, look, width)
    if conversation.system:
        lines += _section(tr("data.part_system"), conversation.system, "prompt", look, width)
    for turn in conversation.turns:
        lines += _turn_lines(turn, look, width)
    return lines


def raw_lines(text: str, facts: Line, problems: Sequence[str], look: Look, width: int) -> list[Line]:
    """What is no conversation, as it stands in the file."""
    return _head(facts, problems, look, width) + _section(tr("data.part_raw"), text, "prompt", look, width)


def _head(facts: Line, problems: Sequence[str], look: Look, width: int) -> list[Line]:
    lines = wrap(facts, width)
    warning = "! " if look.ascii_only else "▲ "
    for problem in problems:
        lines += wrap([(warning, "warn"), (gate.safe(problem), "warn")], width, "  ")
    return lines


def _turn_lines(turn: Turn, look: Look, width: int) -> list[Line]:
    if turn.role != "assistant":
        return _section(tr(f"data.part_{turn.role}"), turn.content, "prompt", look, width)
    lines: list[Line] = []
    if turn.reasoning and look.fold_thinking:
        folded = tr("data.thinking_folded", count=f"{len(turn.reasoning):,}")
        lines += [[], [(tr("data.part_thinking"), "label"), (f"  {folded}", "dim")]]
    elif turn.reasoning:
        lines += _section(tr("data.part_thinking"), turn.reasoning, "thinking", look, width)
    return lines + _section(tr("data.part_answer"), turn.content, "answer", look, width)


def _section(title: str, text: str, style: str, look: Look, width: int) -> list[Line]:
    """A title, then the text behind a rule that tells thinking from answer without colour."""
    rule = _rule(style, look.ascii_only)
    shown = text if look.is_whole else text[:PREVIEW_CHARACTERS]
    lines: list[Line] = [[], [(title, "label")]]
    for paragraph in gate.safe_lines(shown).rstrip("\n").split("\n"):
        marks = _marks(paragraph, look)
        lines += [[rule, *line] for line in wrap(marked(paragraph, style, marks), width - 2)]
    if len(shown) < len(text):
        lines.append([rule, (tr("data.more_characters", count=f"{len(text) - len(shown):,}"), "dim")])
    return lines


def _rule(style: str, ascii_only: bool) -> tuple[str, str]:
    signs = {"prompt": ("  ", "  "), "thinking": ("┊ ", ": "), "answer": ("┃ ", "| ")}[style]
    return signs[ascii_only], "key" if style == "answer" else "edge"


def _marks(text: str, look: Look) -> list[Mark]:
    marks = [(start, end, "term") for start, end in look.terms(text)]
    if look.needle:
        marks += [(match.start(), match.end(), "match") for match in re.finditer(re.escape(look.needle), text, re.IGNORECASE)]
    return marks

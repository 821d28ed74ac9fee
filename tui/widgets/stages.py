"""What the engine does before its first step, stage by stage: done, under way with its progress, and how long each took."""

from tui import amounts
from tui.fold import RunState, Stage
from tui.gate import clip, pad
from tui.glyphs import Glyphs
from tui.sentences import phase_detail, phase_name
from tui.texts import tr
from tui.widgets.meters import BAR_CELLS, bar
from tui.widgets.steady import Line

NAME_CELLS = 22


def stage_lines(state: RunState, glyphs: Glyphs, width: int) -> list[Line]:
    """A line a stage, in the order they began."""
    if not state.stages:
        return [[(f" {glyphs.waiting} ", "accent"), (tr("train.phase.wait"), "text")]] if state.stopped is None else []
    stages = list(state.stages.values())
    ends = [stage.began for stage in stages[1:]] + [0.0]
    return [_line(state, stage, end, glyphs, width) for stage, end in zip(stages, ends, strict=True)]


def _line(state: RunState, stage: Stage, end: float, glyphs: Glyphs, width: int) -> Line:
    phase = stage.newest
    is_current = state.phase is not None and state.phase.name == phase.name and state.stopped is None
    name = pad(phase_name(phase.name), NAME_CELLS)
    if not is_current:
        took = amounts.duration(max(0.0, (end or state.last_time) - stage.began))
        return [(f" {glyphs.done} ", "good"), (name, "dim"), (f" {took}", "dim")]
    line: Line = [(f" {glyphs.running} ", "accent"), (name, "bright"), (" ", "")]
    if phase.total:
        share = min(1.0, phase.done / phase.total)
        line += [*bar(share, BAR_CELLS, glyphs), (f" {share:>4.0%} ", "text")]
    room = width - NAME_CELLS - BAR_CELLS - 12
    return [*line, (clip(phase_detail(phase), max(0, room)), "dim")]

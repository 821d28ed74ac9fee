"""What is said when a run has ended: where the result is and what to do next, or what went wrong and its cure. Pure functions."""

from engine.engine_log import without_stacks
from tui import amounts, states
from tui.fold import RunState
from tui.gate import cells, pad, safe, safe_lines
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.lines import wrap
from tui.widgets.steady import Line

NAME_CELLS = 10
TAIL_LINES = 8


def result_lines(
    state: RunState, shown_state: str, run_path: str, run_name: str, log_tail: list[str], glyphs: Glyphs, width: int
) -> list[Line]:
    """Lines for a run that ended as `shown_state`. log_tail: last lines of the engine's raw output, for one that died."""
    sign, style = states.SIGNS[shown_state]
    head: Line = [(f"{getattr(glyphs, sign)} ", style), (_headline(state, shown_state, log_tail, glyphs), style)]
    lines = wrap(head, width, "  ")
    if shown_state == "finished":
        return lines + _finished(state, run_path, width)
    if shown_state == "died":
        lines += _told([states.death(state, log_tail).text], width)
        lines += wrap([(f"  {tr('train.result.last_output')}", "dim")], width, "  ")
        lines += _told(without_stacks(log_tail)[-TAIL_LINES:] or [tr("train.result.no_output")], width)
    elif state.stopped is not None and state.stopped.error:
        lines += _told(state.stopped.error.splitlines(), width)
    if shown_state in ("failed", "died"):
        lines += _field("log", f"{run_path}/engine.log", width)
    return lines + _field("kept", _kept(state), width) + _field("again", tr("train.result.resume_key", name=safe(run_name)), width)


def _headline(state: RunState, shown_state: str, log_tail: list[str], glyphs: Glyphs) -> str:
    if shown_state == "finished":
        return states.finished(state, glyphs)
    cause = states.cause_word(states.death(state, log_tail).code) if shown_state == "died" else ""
    return states.ending(shown_state, states.last_step(state), state.max_steps) + (f" {cause}" if cause else "")


def _finished(state: RunState, run_path: str, width: int) -> list[Line]:
    if state.final_model is None:
        return _field("kept", _kept(state), width)
    path = f"{run_path}/{state.final_model.path}"
    lines = _field("model", f"{safe(path)} ({amounts.size(state.final_model.bytes)})", width)
    code = ["from peft import AutoPeftModelForCausalLM", *_loading(safe(path), width - 2 - NAME_CELLS)]
    lines += [[(f"  {_title('' if row else 'load')}", "dim"), (text, "bright")] for row, text in enumerate(code)]
    return lines + _field("next", tr("train.result.compare"), width)


def _kept(state: RunState) -> str:
    if not state.checkpoints:
        return tr("train.result.no_checkpoint")
    newest = state.checkpoints[max(state.checkpoints)]
    return tr("train.result.checkpoint", path=safe(newest.path), step=newest.step, max=state.max_steps)


def _loading(path: str, width: int) -> list[str]:
    """Python that loads the result, in lines that can be copied: a path too long for one is joined by Python itself."""
    call = "model = AutoPeftModelForCausalLM.from_pretrained"
    if cells(f"{call}({path!r})") <= width:
        return [f"{call}({path!r})"]
    pieces = [""]
    for character in path:
        if cells(f"    {pieces[-1] + character!r}") > width and pieces[-1]:
            pieces.append("")
        pieces[-1] += character
    return [f"{call}(", *(f"    {piece!r}" for piece in pieces), ")"]


def _field(name: str, text: str, width: int) -> list[Line]:
    return wrap([(f"  {_title(name)}", "dim"), (safe(text), "bright")], width, " " * (2 + NAME_CELLS))


def _title(name: str) -> str:
    return pad(tr(f"train.result.{name}") if name else "", NAME_CELLS)


def _told(texts: list[str], width: int) -> list[Line]:
    """Outside text, a line of it a line, set off."""
    return [line for text in texts for line in wrap([("  ", ""), (safe_lines(text).replace("\n", " "), "warn")], width, "  ")]

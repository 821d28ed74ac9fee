"""The states of a run as a person sees them: a word, a sign and a style each. One place, so that all screens agree."""

from engine.death import Cause, guess
from tui import amounts
from tui.fold import RunState
from tui.glyphs import Glyphs
from tui.texts import has, tr

LIVE = ("starting", "working", "training", "paused", "stalled")
RESUMABLE = ("stopped", "interrupted", "failed", "died")
SIGNS = {
    "starting": ("waiting", "accent"), "working": ("waiting", "accent"), "training": ("running", "accent"), "paused": ("paused", "warn"),
    "finished": ("done", "good"), "stopped": ("stopped", "warn"), "interrupted": ("stopped", "warn"), "failed": ("failed", "bad"),
    "died": ("failed", "bad"), "stalled": ("warning", "warn"),
}  # fmt: skip
"""State → a member of `Glyphs` and a style of `SteadyView`."""


def state_of(state: RunState, is_alive: bool, is_starting: bool = False, is_silent: bool = False) -> str:
    """What the log says, unless no engine is there to go on with it: then the run has died; or one that makes no progress: stalled.

    is_starting: an engine was launched a moment ago; until it shows itself, what an earlier one said last is history.
    is_silent: a live engine has said nothing for long.
    """
    if is_starting:
        return "starting"
    if state.status not in LIVE:
        return state.status
    if not is_alive:
        return "died"
    return "stalled" if is_silent or state.is_stalled else state.status


def death(state: RunState, last_output: list[str]) -> Cause:
    """Why the engine died: as its supervisor wrote it, else as far as it can be guessed."""
    if state.stopped is not None:
        return Cause(state.stopped.cause or "unknown", state.stopped.error)
    return guess(last_output, state.last_time)


def cause_word(code: str) -> str:
    """A cause of death in the user's language; of an unknown one nothing."""
    key = f"train.cause.{code}"
    return tr(key) if has(key) else ""


def ending(state: str, step: int, max_steps: int) -> str:
    """That and where a run ended early, as a sentence. step: the last one it took."""
    where = tr("train.result.after_step", step=step, max=max_steps) if step else tr("train.result.before_step")
    return tr(f"train.result.{state}", where=where)


def finished(state: RunState, glyphs: Glyphs) -> str:
    """That a run is done, how long this start took, and what its evaluations went from and to: the loss, and the tokens right."""
    took = amounts.duration(state.last_time - state.engine.time) if state.engine else amounts.UNKNOWN
    text = tr("train.result.finished", steps=last_step(state), time=took)
    if (first := state.first_eval) is None or (last := state.last_eval) is None:
        return text
    text += tr("train.result.eval", course=course(amounts.loss(first.loss), amounts.loss(last.loss), glyphs))
    if last.accuracy is None:
        return text
    return text + tr("train.result.accuracy", course=course(amounts.share(first.accuracy), amounts.share(last.accuracy), glyphs))


def last_step(state: RunState) -> int:
    """The last step that a run took, 0 before its first."""
    return max(state.series.last_step, state.stopped.step if state.stopped else 0)


def course(first: str, last: str, glyphs: Glyphs) -> str:
    """From what to what; where nothing changed, that."""
    return last if first == last else f"{first} {glyphs.arrow} {last}"


def word(state: str) -> str:
    """A state's name in the user's language."""
    return tr(f"train.state.{state}")

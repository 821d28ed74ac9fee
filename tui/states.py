"""The states of a run as a person sees them: a word, a sign and a style each. One place, so that all screens agree."""

from tui.fold import RunState
from tui.texts import tr

LIVE = ("starting", "working", "training", "paused")
RESUMABLE = ("stopped", "interrupted", "failed", "died")
SIGNS = {
    "starting": ("waiting", "accent"), "working": ("waiting", "accent"), "training": ("running", "accent"), "paused": ("paused", "warn"),
    "finished": ("done", "good"), "stopped": ("stopped", "warn"), "interrupted": ("stopped", "warn"), "failed": ("failed", "bad"),
    "died": ("failed", "bad"),
}  # fmt: skip
"""State → a member of `Glyphs` and a style of `SteadyView`."""


def state_of(state: RunState, is_alive: bool, is_starting: bool = False) -> str:
    """What the log says, unless no engine is there to go on with it: then the run has died.

    is_starting: an engine was launched a moment ago; until it shows itself, what an earlier one said last is history.
    """
    if is_starting:
        return "starting"
    return "died" if state.status in LIVE and not is_alive else state.status


def word(state: str) -> str:
    """A state's name in the user's language."""
    return tr(f"train.state.{state}")

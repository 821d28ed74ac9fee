"""What tests of the console's screens share: the text on screen, and waiting for a condition."""

from collections.abc import Callable

from textual.app import App
from textual.pilot import Pilot

PATIENCE = 1000
"""Looks before a condition is given up, some 20 s on an idle machine."""


def text_of(app: App) -> str:
    """All that is on screen, a line a row."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot, condition: Callable[[], object], looks: int = PATIENCE) -> None:
    """Return once `condition` holds."""
    for _ in range(looks):
        await pilot.pause(0.02)
        if condition():
            return
    raise AssertionError(f"never came about; on screen:\n{text_of(pilot.app)}")


async def until_shown(pilot: Pilot, *texts: str, looks: int = PATIENCE) -> None:
    """Return once all `texts` are on screen."""
    await until(pilot, lambda: all(text in text_of(pilot.app) for text in texts), looks)

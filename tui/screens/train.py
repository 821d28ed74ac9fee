"""The live screen."""

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from tui.screens.base import DanluScreen


class TrainScreen(DanluScreen):
    tab = "train"

    def compose_body(self) -> Iterable[Widget]:
        yield Static("", markup=False)

"""Textual's command palette in the user's language, with a sign that every terminal has."""

from rich.align import Align
from rich.text import Text
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.widgets.option_list import Option

from tui.texts import tr


class Palette(CommandPalette):
    """What it offers comes from `App.get_system_commands`."""

    def __init__(self):
        super().__init__(id="--command-palette", placeholder=tr("common.palette.search"))

    def on_mount(self) -> None:
        self.query_one(SearchIcon).icon = ">"

    def _start_no_matches_countdown(self, search_value: str) -> None:
        """Textual's own, whose sentence is English. Searching is over when this is called."""
        self._stop_no_matches_countdown()
        self._no_matches_timer = self.set_timer(self._NO_MATCHES_COUNTDOWN, lambda: self._show_no_matches(search_value))

    def _show_no_matches(self, search_value: str) -> None:
        if search_value:
            told = Align.center(Text(tr("common.palette.nothing")))
            self.query_one(CommandList).add_option(Option(told, disabled=True, id=self._NO_MATCHES))
        self._list_visible = bool(search_value)

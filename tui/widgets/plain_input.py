"""A one-line field into which no control character gets, by typing or by pasting: a terminal must never see one."""

from textual.widgets import Input

from tui import gate


class PlainInput(Input):
    """An `Input` without blinking."""

    def __init__(self, value: str = "", placeholder: str = "", **options):
        super().__init__(gate.safe(value), placeholder=placeholder, **options)
        self.cursor_blink = False

    def replace(self, text: str, start: int, end: int) -> None:
        super().replace(gate.safe(text), start, end)

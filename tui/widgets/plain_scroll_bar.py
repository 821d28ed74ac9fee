"""Scroll bars for terminals without eighths of a block: whole cells only."""

from typing import ClassVar

from textual.scrollbar import ScrollBar, ScrollBarRender


class WholeCells(ScrollBarRender):
    """Textual's own, its ends drawn as far as a cell goes."""

    VERTICAL_BARS: ClassVar = [" "]
    HORIZONTAL_BARS: ClassVar = [" "]


def draw_scroll_bars(ascii: bool) -> None:
    """How every scroll bar of this process is drawn."""
    ScrollBar.renderer = WholeCells if ascii else ScrollBarRender

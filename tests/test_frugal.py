"""What is sent to the terminal when little has changed, seen by a terminal emulator."""

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from tui.frugal import _render_segments, character_start
from tui.widgets.steady import span

BOLD, PLAIN = Style(bold=True), Style()
CONSOLE = Console(color_system="truecolor", force_terminal=True, width=40)
LINES = st.lists(st.tuples(st.text(st.sampled_from("ab 丹炉⠿│"), max_size=6), st.sampled_from([BOLD, PLAIN])), max_size=8)


def strip_of(runs, width=40):
    return Strip([Segment(text, style) for text, style in runs]).adjust_cell_length(width, PLAIN)


def update(strip, spans):
    return ChopsUpdate([{0: strip}], spans, [[40]])


def shown(*written):
    screen = pyte.Screen(40, 1)
    stream = pyte.Stream(screen)
    for text in written:
        stream.feed(text)
    return screen.display[0]


@given(LINES, LINES)
def test_sending_the_changed_stretch_gives_the_whole_line(old, new):
    """A terminal that got only what changed shows what one that got everything shows."""
    before, after = strip_of(old), strip_of(new)
    x, length = span(before, after)
    whole = [_render_segments(update(strip, [(0, 0, 40)]), CONSOLE) for strip in (before, after)]
    change = _render_segments(update(after, [(0, x, x + length)]), CONSOLE) if length else ""

    assert shown(whole[0], change) == shown(whole[1])


def test_one_changed_cell_sends_one_cell():
    """The cells before it are not sent again."""
    strip = strip_of([("left " * 4, BOLD), ("x", PLAIN)])

    assert "left" not in _render_segments(update(strip, [(0, 20, 21)]), CONSOLE)


def test_a_wide_character_is_never_cut_in_two():
    """A stretch that begins in its right half is sent from its left half on."""
    strip = strip_of([("a丹炉", PLAIN)])

    assert [character_start(strip, cell) for cell in range(6)] == [0, 1, 1, 3, 3, 5]

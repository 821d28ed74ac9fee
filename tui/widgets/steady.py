"""A widget that sends the terminal only the cells that changed.

Textual repaints a whole widget; over SSH a chart redrawn four times a second is then 30 KB/s. This one compares the new
lines with those on screen and asks for the differing stretch of each.
"""

from collections.abc import Callable
from itertools import takewhile

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.component_style import component_style

Line = list[tuple[str, str]]
"""Runs of text, already through the gate, each with the name of its style; several names joined by spaces add up."""
Build = Callable[[int, int], list[Line]]
"""Lines for a width and a height in cells."""

MOUSE_LINES = 3

STYLES = (
    "dim", "text", "bright", "accent", "title", "good", "warn", "bad", "thinking", "answer", "prompt",
    "raw", "smooth", "eval", "axis", "bar", "rest", "line0", "line1", "line2", "line3", "line4", "line5", "cursor",
)  # fmt: skip


class SteadyView(Widget):
    """Shows the lines that `build` gives for its size, from line `top` on."""

    COMPONENT_CLASSES = {f"steady--{name}" for name in STYLES}  # noqa: RUF012 - textual's own declaration of it
    DEFAULT_CSS = """
    SteadyView {
        & > .steady--dim { color: $text-muted; }
        & > .steady--text { color: $foreground; }
        & > .steady--bright { color: $foreground; text-style: bold; }
        & > .steady--accent { color: $primary; text-style: bold; }
        & > .steady--title { color: $primary; text-style: bold; }
        & > .steady--good { color: $success; }
        & > .steady--warn { color: $warning; }
        & > .steady--bad { color: $error; text-style: bold; }
        & > .steady--thinking { color: $text-muted; }
        & > .steady--answer { color: $foreground; text-style: bold; }
        & > .steady--prompt { color: $secondary; }
        & > .steady--raw { color: $raw; }
        & > .steady--smooth { color: $primary; }
        & > .steady--eval { color: $secondary; text-style: bold; }
        & > .steady--axis { color: $text-disabled; }
        & > .steady--bar { color: $primary; }
        & > .steady--rest { color: $border; }
        & > .steady--line0 { color: $primary; }
        & > .steady--line1 { color: $secondary; }
        & > .steady--line2 { color: $success; }
        & > .steady--line3 { color: $warning; }
        & > .steady--line4 { color: $error; }
        & > .steady--line5 { color: $foreground; }
        & > .steady--cursor { background: $panel; text-style: bold; }
    }
    """

    def __init__(self, build: Build | None = None, **options):
        super().__init__(**options)
        self._build: Build = build or (lambda width, height: [])
        self._strips: list[Strip] = []
        self._drawn: tuple[list[Line], int, int, int] | None = None
        """The very lines on screen, with what else decides how they look; the same again need no work at all."""
        self._styles: dict[str, Style] = {}
        """By name, worked out once: textual takes a third of a redraw for them."""
        self._border_texts = ("", "")
        self.num_lines = 0
        self.top = 0
        self.follows_end = False
        """Keep the last line in sight until someone scrolls up."""
        self.keeps_lines = False
        """Whether `build` gives the same list again exactly when its lines are the same, so that it need not be drawn."""
        self.jumps = False
        """Follow the end half a page at a time: growing text stands still while it is read, and few lines are sent again."""

    def show(self, build: Build) -> None:
        """Show other lines; what is the same is not drawn again."""
        self._build = build
        self._update()

    def name_border(self, title: str, subtitle: str = "") -> None:
        """Text in the border, gated already. Setting a border text repaints the whole widget, so only a new one is set."""
        if (title, subtitle) != self._border_texts:
            self._border_texts = (title, subtitle)
            self.border_title, self.border_subtitle = Content(title), Content(subtitle)

    def scroll_lines(self, lines: int) -> None:
        """Move by so many lines; at the end it follows the end again."""
        last = max(0, self.num_lines - self.content_size.height)
        self.top = min(max(0, self.top + lines), last)
        self.follows_end = self.top == last
        self._update()

    @property
    def lines_below(self) -> int:
        """Lines that are out of sight underneath."""
        return max(0, self.num_lines - self.top - self.content_size.height)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.scroll_lines(MOUSE_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.scroll_lines(-MOUSE_LINES)

    def on_resize(self, event: events.Resize) -> None:
        self._forget()
        self._update()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget()
        self._update()

    def _forget(self) -> None:
        self._strips, self._styles, self._drawn = [], {}, None

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.content_size.width, self.rich_style)

    def _update(self) -> None:
        width, height = self.content_size
        if not width or not height:
            return
        lines = self._build(width, height)
        self.num_lines = len(lines)
        last = max(0, len(lines) - height)
        self.top = self._end(last, height) if self.follows_end else min(self.top, max(last, self._end(last, height)))
        if self.keeps_lines and self._drawn is not None and self._drawn[0] is lines and self._drawn[1:] == (self.top, width, height):
            return
        self._drawn = (lines, self.top, width, height)
        old, self._strips = self._strips, self._draw(lines[self.top : self.top + height], width, height)
        if len(old) != height:
            self.refresh()
            return
        spans = [(y, *span(old[y], self._strips[y])) for y in range(height) if old[y] != self._strips[y]]
        if changed := [Region(x, y, length, 1) for y, x, length in spans if length]:
            self.refresh(*changed)

    def _end(self, last: int, height: int) -> int:
        """The first line to show so that the last is in sight."""
        step = max(1, height // 2) if self.jumps else 1
        return -(-last // step) * step

    def _draw(self, lines: list[Line], width: int, height: int) -> list[Strip]:
        styles = self._styles
        if not styles:
            styles[""] = self.rich_style
        base = styles[""]
        strips = []
        for line in lines:
            segments = []
            for text, names in line:
                if names not in styles:
                    styles[names] = self._style_of(names, base)
                segments.append(Segment(text, styles[names]))
            strips.append(Strip(segments).adjust_cell_length(width, base))
        return strips + [Strip.blank(width, base)] * (height - len(strips))

    def _style_of(self, names: str, base: Style) -> Style:
        for name in names.split():
            base += component_style(self, f"steady--{name}")
        return base


def span(old: Strip, new: Strip) -> tuple[int, int]:
    """First cell that differs and number of cells up to the last; (0, 0) when none does."""
    before, after = _characters(old), _characters(new)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    if same == len(before) == len(after):
        return (0, 0)
    before, after = before[same:], after[same:]
    tail = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(before), reversed(after), strict=False)))
    start = new.cell_length - sum(cell_len(character) for character, _ in after)
    return (start, sum(cell_len(character) for character, _ in after[: len(after) - tail]))


def _characters(strip: Strip) -> list[tuple[str, Style | None]]:
    return [(character, segment.style) for segment in strip for character in segment.text]

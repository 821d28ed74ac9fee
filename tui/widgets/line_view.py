"""A scrolling page of styled lines, laid out again when its width changes. It knows no subject: others build the lines.

Only the lines on screen are drawn, so a page of 100,000 lines costs what it shows.
"""

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keymap import bind
from tui.widgets.component_style import component_style
from tui.widgets.lines import Line

Build = Callable[[int], list[Line]]
"""Lines of a page for a width in cells."""

STYLES = (
    "dim", "title", "label", "good", "warn", "bad", "key", "bar", "rest", "cursor", "match",
    "prompt", "thinking", "answer", "term", "masked", "supervised", "special", "edge",
)  # fmt: skip


class LineView(ScrollView, can_focus=True):
    """Shows what `show` was last given."""

    COMPONENT_CLASSES: ClassVar = {f"line--{name}" for name in STYLES}
    BINDINGS: ClassVar = [
        bind("j,down", "scroll_down", "data.keys.down", show=False),
        bind("k,up", "scroll_up", "data.keys.up", show=False),
        bind("pagedown,space", "page_down", "data.keys.page_down", show=False),
        bind("pageup", "page_up", "data.keys.page_up", show=False),
        bind("home,g", "scroll_home", "data.keys.top", show=False),
        bind("end,G", "scroll_end", "data.keys.bottom", show=False),
    ]
    DEFAULT_CSS = """
    LineView {
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; overflow-x: hidden; padding: 0 1; background: transparent;
        & > .line--dim { color: $text-muted; }
        & > .line--title { color: $text-accent; text-style: bold; }
        & > .line--label { text-style: bold; }
        & > .line--good { color: $text-success; }
        & > .line--warn { color: $text-warning; }
        & > .line--bad { color: $text-error; text-style: bold; }
        & > .line--key { color: $text-primary; text-style: bold; }
        & > .line--bar { color: $primary; }
        & > .line--rest { color: $text-disabled; }
        & > .line--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        & > .line--match { text-style: reverse; }
        & > .line--prompt { color: $text-primary; }
        & > .line--thinking { color: $text-muted; text-style: italic; }
        & > .line--answer { color: $foreground; text-style: bold; }
        & > .line--term { color: $text-warning; text-style: underline; }
        & > .line--masked { color: $text-muted; }
        & > .line--supervised { text-style: underline; }
        & > .line--special { color: $text-secondary; text-style: bold; }
        & > .line--edge { color: $text-disabled; }
    }
    """

    def __init__(self, build: Build | None = None, **options):
        super().__init__(**options)
        self._build: Build = build or (lambda width: [])
        self.lines: list[Line] = []
        self._styles: dict[str, Style] = {}

    def show(self, build: Build, home: bool = True) -> None:
        """Show another page, from its top, or (home=False) where the reader is; an unchanged page is not drawn again."""
        self._build = build
        self._lay_out()
        if home:
            self.scroll_home(animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = {}
        self.refresh()

    def style_of(self, names: str) -> Style:
        """The sum of the named styles on this widget's own."""
        if names not in self._styles:
            added = (component_style(self, f"line--{name}") for name in names.split())
            self._styles[names] = sum(added, start=self.rich_style)
        return self._styles[names]

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if index >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        segments = [Segment(text, self.style_of(names)) for text, names in self.lines[index]]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        lines = self._build(width) if width > 0 else []
        if lines != self.lines:
            self.lines = lines
            self.virtual_size = Size(width, len(lines))
            self.refresh()

"""What every screen has: the tab line above, the key line below, the session, one way to show an error.

A screen says its `tab`, gives its widgets in `compose_body` and declares BINDINGS with `tui.keymap.bind`. One that shows what
changes by itself says how often to `look`; that happens only while it is shown.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from data.errors import DanluError
from tui import gate
from tui.error_text import error_text
from tui.session import Session
from tui.texts import tr
from tui.widgets.bars import KeyBar, TabHeader, label

if TYPE_CHECKING:
    from tui.app import DanluApp

SMALLEST = (60, 16)


class DanluScreen(Screen[None]):
    """Base of the numbered screens."""

    tab: ClassVar[str] = ""
    refresh_s: ClassVar[float | None] = None
    AUTO_FOCUS = ""
    _looks: Timer | None = None

    def compose(self) -> ComposeResult:
        yield TabHeader(self.tab, self.session)
        with Container(id="body"):
            yield from self.compose_body()
        yield Static("", id="too-small", markup=False)
        yield KeyBar()

    def compose_body(self) -> Iterable[Widget]:
        """The widgets between the two lines."""
        raise NotImplementedError

    def look(self) -> None:
        """Find out what is to be shown now; called every `refresh_s`."""

    def on_mount(self) -> None:
        if self.refresh_s:
            self._looks = self.set_interval(self.refresh_s, self.look)

    def on_screen_resume(self) -> None:
        self.query_one(TabHeader).refresh()
        if self._looks:
            self._looks.resume()
            self.look()

    def on_screen_suspend(self) -> None:
        if self._looks:
            self._looks.pause()

    def offers(self, binding: Binding) -> bool:
        """Whether the key makes sense now and belongs in the footer. A key left out still answers, and says why not."""
        return True

    def label(self, binding: Binding) -> str:
        """What the footer calls a key now."""
        return label(binding)

    @property
    def danlu(self) -> "DanluApp":
        """The application, typed."""
        return cast("DanluApp", self.app)

    @property
    def session(self) -> Session:
        """What the screens share."""
        return self.danlu.session

    def notify_error(self, error: Exception) -> None:
        """Show an error's one message; anything but a `DanluError` or an OSError is a defect and goes on up."""
        if not isinstance(error, DanluError | OSError):
            raise error
        self.say(error_text(error) if isinstance(error, DanluError) else str(error), severity="error")

    def say(self, text: str, severity: str = "information") -> None:
        """A note in the corner; `text` may come from outside."""
        self.app.notify(gate.safe_lines(text), severity=severity, timeout=12 if severity == "error" else 5, markup=False)

    def on_resize(self, event: events.Resize) -> None:
        """Under 60×16 one sentence stands in for the screen."""
        width, height = event.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        self.set_class(small, "too-small")
        if small:
            needs = tr("common.too_small", width=width, height=height, need_width=SMALLEST[0], need_height=SMALLEST[1])
            self.query_one("#too-small", Static).update(gate.styled(needs))

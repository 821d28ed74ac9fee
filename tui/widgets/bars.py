"""The line above and the line below every screen: where one is, and which keys do something here."""

from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget

from tui import gate
from tui.session import Session
from tui.texts import tr

TABS = ("hardware", "data", "config", "train", "runs", "chat")
KEY_NAMES = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "space": "␣", "escape": "esc", "full_stop": ".", "comma": ",",
    "left_square_bracket": "[", "right_square_bracket": "]", "up": "↑", "down": "↓", "left": "←", "right": "→", "enter": "⏎",
    "equals_sign": "=", "left_curly_bracket": "{", "right_curly_bracket": "}", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home",
    "end": "End",
}  # fmt: skip
ASCII_NAMES = str.maketrans({"←": "left", "→": "right", "↑": "up", "↓": "down", "⏎": "enter", "␣": "space"})


class TabHeader(Widget):
    """丹炉 Danlu  1 硬件 2 数据 …; the current screen carries a sign and a style, the attached run stands at the right."""

    DEFAULT_CSS = "TabHeader { height: 1; dock: top; }"

    def __init__(self, current: str, session: Session):
        super().__init__()
        self._current, self._session = current, session

    def render(self) -> RenderResult:
        parts: list[Content] = [Content.styled(f" {tr('common.title')} ", "bold $primary"), Content(" ")]
        for number, tab in enumerate(TABS, 1):
            name = tr(f"common.tab.{tab}")
            if tab == self._current:
                parts.append(Content.styled(f"{self._session.glyphs.current}{number} {name} ", "bold $primary on $panel"))
            else:
                parts.append(Content.assemble((f" {number}", "$text-muted"), (f" {name} ", "$foreground")))
        line = Content("").join(parts)
        return self._with_run(line)

    def _with_run(self, line: Content) -> Content:
        if self._session.run is None:
            return line
        room = self.size.width - line.cell_length - 2
        name = gate.clip(gate.safe(self._session.run.name), room)
        return Content.assemble(line, " " * max(0, room + 1 - gate.cells(name)), (name, "$text-muted")) if room > 8 else line


class KeyBar(Widget):
    """The keys of this screen that are shown, in the order they were declared; `?` always keeps its place at the end."""

    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; background: $panel; }"

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        offers, name = getattr(self.screen, "offers", lambda binding: True), getattr(self.screen, "label", label)
        is_ascii = self.app.has_class("ascii")
        shown = [active.binding for active in self.screen.active_bindings.values() if active.binding.show and active.enabled]
        shown = [binding for binding in shown if offers(binding)]
        first: dict[str, Binding] = {}
        for binding in shown:
            first.setdefault(binding.action, binding)
        last = [binding for binding in first.values() if binding.action in ("app.help", "app.leave", "help", "leave")]
        rest = [binding for binding in first.values() if binding not in last]
        tail = Content("").join([_key(binding, name(binding), is_ascii) for binding in last])
        line, room = Content(""), self.size.width - tail.cell_length
        for piece in (_key(binding, name(binding), is_ascii) for binding in rest):
            if line.cell_length + piece.cell_length > room:
                break
            line = line + piece
        return Content.assemble(line, " " * max(0, room - line.cell_length), tail)


def key_name(binding: Binding, is_ascii: bool) -> str:
    """A binding's keys as a person reads them: the sign itself, not its name, but for signs that are not ASCII where only it is wanted."""
    name = binding.key_display or _sign(binding)
    return name.translate(ASCII_NAMES) if is_ascii else name


def _sign(binding: Binding) -> str:
    return KEY_NAMES.get(binding.key, binding.key.replace("ctrl+", "^") if "+" in binding.key else binding.key)


def label(binding: Binding) -> str:
    """The binding's description in the user's language; ids of textual's own bindings are plain text."""
    return tr(binding.description) if "." in binding.description else binding.description


def _key(binding: Binding, name: str, is_ascii: bool) -> Content:
    return Content.assemble((f" {key_name(binding, is_ascii)}", "bold $primary"), (f" {name} ", "$foreground"))

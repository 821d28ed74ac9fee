"""The run's events as sentences with their time, the newest below."""

from tui.amounts import clock
from tui.fold import RunState
from tui.glyphs import Glyphs
from tui.sentences import sentence
from tui.texts import tr
from tui.widgets.lines import wrap
from tui.widgets.steady import Line, SteadyView

INDENT = " " * 11
"""Under the text of a sentence, behind its time and its sign."""
LINES_KEPT = 8000
"""The fold keeps 2,000 sentences; few of them take more than four lines."""


class LogView(SteadyView):
    """Each sentence is made once and wrapped once a width."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self._state = RunState()
        self._wrapped: list[Line] = []
        self._done = 0
        self._width = 0
        self.follows_end = True

    def draw(self, state: RunState) -> None:
        """Show what `state` holds now."""
        if state is not self._state:
            self._state, self._done, self._wrapped = state, 0, []
        self.show(self._lines)
        self.name_border(tr("train.log.title"), tr("train.log.below", n=self.lines_below) if self.lines_below else "")

    def scroll_lines(self, lines: int) -> None:
        super().scroll_lines(lines)
        self.draw(self._state)

    def _lines(self, width: int, height: int) -> list[Line]:
        if width != self._width:
            self._width, self._done, self._wrapped = width, 0, []
        new = min(self._state.num_logged - self._done, len(self._state.log))
        for event in list(self._state.log)[len(self._state.log) - new :]:
            told = sentence(event)
            line = [(f"{clock(event.time)} ", "dim"), (f"{getattr(self._glyphs, told.glyph)} ", told.style), (told.text, told.style)]
            self._wrapped += wrap(line, width, INDENT)
        self._done = self._state.num_logged
        del self._wrapped[:-LINES_KEPT]
        return self._wrapped

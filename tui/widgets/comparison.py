"""Loss curves of several runs in one chart, told apart by marks as well as colours, with their names below."""

from math import isfinite
from typing import TYPE_CHECKING

from tui import gate
from tui.glyphs import Glyphs
from tui.run_index import Curve
from tui.texts import tr
from tui.widgets.chart import SMOOTHING_SPANS, centred
from tui.widgets.steady import Line, SteadyView

if TYPE_CHECKING:
    from tui.widgets import plot

MOST_CURVES = 6
"""As many as there are marks and colours."""


class Comparison(SteadyView):
    """Shows the curves it is given."""

    def __init__(self, glyphs: Glyphs, is_ascii: bool, **options):
        super().__init__(**options)
        self._glyphs, self._ascii = glyphs, is_ascii
        self._curves: list[Curve] | None = None
        self.is_log = False

    def draw(self, curves: list[Curve] | None) -> None:
        """Show `curves`; None while they are read."""
        self._curves = curves
        self.name_border(tr("runs.compare.title"), tr("runs.compare.log") if self.is_log else "")
        self.show(self._lines)

    def toggle_log(self) -> None:
        """Logarithmic or linear."""
        self.is_log = not self.is_log
        self.draw(self._curves)

    def _lines(self, width: int, height: int) -> list[Line]:
        if self._curves is None:
            return centred(tr("runs.compare.reading"), width, height)
        curves = [curve for curve in self._curves if len(curve.steps)]
        if not curves:
            return centred(tr("runs.compare.nothing"), width, height)
        from tui.widgets import plot  # numpy, which the list of runs does not wait for

        legend = self._legend(width)
        lines = [self._line(curve, number) for number, curve in enumerate(self._curves) if len(curve.steps)]
        last = max(float(curve.steps[-1]) for curve in curves)
        chart_height = max(3, height - len(legend))
        return plot.draw(lines, (0.0, max(1.0, last)), width, chart_height, log=self.is_log, ascii=self._ascii) + legend

    def _line(self, curve: Curve, number: int) -> "plot.Line":
        from tui.widgets import plot

        smoothed = plot.smooth(curve.loss, max(1, len(curve.loss) // SMOOTHING_SPANS))
        return plot.Line(curve.steps, smoothed, f"line{number}", self._glyphs.marks[number])

    def _legend(self, width: int) -> list[Line]:
        """A line a run: its mark, its name, its newest loss."""
        lines: list[Line] = []
        for number, curve in enumerate(self._curves or []):
            loss = next((f"{value:.3f}" for value in reversed(curve.loss) if isfinite(value)), "")
            name = gate.clip(gate.safe(curve.name), max(1, width - 16))
            lines.append([(f" {self._glyphs.marks[number]} ", f"line{number}"), (name, "text"), (f"  {loss}", "dim")])
        return lines

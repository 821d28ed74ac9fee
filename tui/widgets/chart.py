"""The curves of one run: which metric, which part of it, which scale. `tui.widgets.plot` draws them."""

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from tui import gate, glyphs
from tui.fold import RunState
from tui.texts import tr
from tui.widgets.stages import stage_lines
from tui.widgets.steady import Line, SteadyView

if TYPE_CHECKING:
    import numpy as np

    from tui.widgets import plot

METRICS = ("loss", "parts", "accuracy", "learning_rate", "grad_norm", "tokens_per_s", "peak_memory_gib")
SMOOTHED = ("loss", "grad_norm", "tokens_per_s")
"""Metrics that jump from step to step; the others are drawn as they are."""
LOG_SCALED = ("loss", "parts", "grad_norm")
LARGEST_ZOOM = 64
SMOOTHING_SPANS = 40
"""The smoothing window is a fortieth of what is seen, so that the curve is equally calm at every zoom."""
PARTS = (("thinking", "line1"), ("answer", "line0"))
"""Parts of an answer that have a curve of their own, with its style."""
MARKS = {"thinking": "○", "answer": "●", "eval": "◆"}
ASCII_MARKS = {"thinking": "o", "answer": "*", "eval": "@"}


class Chart(SteadyView):
    """A metric over the steps of a run, with its evaluation points. The screen's keys change what is seen."""

    def __init__(self, ascii: bool = False, **options):
        super().__init__(**options)
        self._ascii = ascii
        self._marks = ASCII_MARKS if ascii else MARKS
        self._state: RunState | None = None
        self.metric = METRICS[0]
        self.is_log = False
        self.zoom = 1
        self.keeps_lines = True
        self._plotted: tuple[tuple, list[Line]] | None = None
        """What the curve on screen was drawn of, and its lines: pieces of a sample come four times a second, steps less often."""

    def draw(self, state: RunState | None) -> None:
        """Draw what `state` holds now."""
        self._state = state
        self._retitle()
        self.show(self._lines)

    def next_metric(self) -> None:
        """The next metric, around."""
        self.metric = METRICS[(METRICS.index(self.metric) + 1) % len(METRICS)]
        self.draw(self._state)

    def toggle_log(self) -> None:
        """Logarithmic or linear."""
        self.is_log = not self.is_log
        self.draw(self._state)

    def magnify(self, factor: float) -> None:
        """See fewer or more of the last steps."""
        self.zoom = int(min(LARGEST_ZOOM, max(1, self.zoom * factor)))
        self.draw(self._state)

    def _lines(self, width: int, height: int) -> list[Line]:
        state = self._state
        if state is None or not len(state.series):
            waiting = centred(tr("train.chart.empty"), width, 1)
            return [*waiting, [], *stage_lines(state, glyphs.ASCII if self._ascii else glyphs.UNICODE, width)] if state else waiting
        key = (id(state), state.engine, state.step, state.last_eval, self.metric, self.is_log, self.zoom, self._ascii, width, height)
        if self._plotted is None or self._plotted[0] != key:
            self._plotted = (key, self._plot(state, width, height))
        return self._plotted[1]

    def _plot(self, state: RunState, width: int, height: int) -> list[Line]:
        from tui.widgets import plot  # numpy takes a tenth of a second, which the first paint does not wait for

        x_range = self._x_range(state)
        lines = _curves(state, self.metric, x_range, self._marks)
        if not any(len(line.x) for line in lines):
            return centred(tr("train.chart.nothing"), width, height)
        return plot.draw(lines, x_range, width, height, log=self.is_log and self.metric in LOG_SCALED, ascii=self._ascii)

    def _x_range(self, state: RunState) -> tuple[float, float]:
        """From the first step, or a share of them, to a little after the last: a right edge that moves seldom redraws little."""
        last = max(state.series.last_step, max(state.evals, default=0), 1)
        if self.zoom > 1:
            return (max(0.0, last - max(4, last / self.zoom)), float(last))
        ceiling = max(state.max_steps, last)
        return (0.0, float(min(ceiling, _round_up(last))))

    def _retitle(self) -> None:
        notes = []
        if self._state is not None and len(self._state.series):
            notes = self._legend(self._state)
        self.name_border(tr(f"train.metric.{self.metric}"), " · ".join(notes))

    def _legend(self, state: RunState) -> list[str]:
        window = plot_window(state, self._x_range(state))
        notes = [tr("train.chart.each"), tr("train.chart.smooth", n=window)] if self.metric in SMOOTHED and window > 1 else []
        if self.metric in ("parts", "accuracy"):
            notes += [f"{self._marks[part]} {tr(f'train.chart.{part}')}" for part in ("thinking", "answer")]
        if self.metric == "loss" and state.evals:
            notes.append(f"{self._marks['eval']} {tr('train.chart.eval')}")
        if self.is_log and self.metric in LOG_SCALED:
            notes.append(tr("train.chart.log"))
        if self.zoom > 1:
            first, last = self._x_range(state)
            notes.append(tr("train.chart.last", n=int(last - first)))
        return notes


def centred(text: str, width: int, height: int) -> list[Line]:
    """One dim sentence in the middle of a pane."""
    text = gate.clip(text, width)
    return [[] for _ in range((height - 1) // 2)] + [[(" " * ((width - gate.cells(text)) // 2) + text, "dim")]]


def _curves(state: RunState, metric: str, x_range: tuple[float, float], marks: dict[str, str]) -> "list[plot.Line]":
    """The lines of a metric. They look into the growing arrays, so none may be kept after drawing."""
    import numpy as np

    from tui.widgets import plot

    steps = _column(state.series.steps)
    window = plot_window(state, x_range)
    if metric == "parts":
        columns = state.series.columns
        return [plot.Line(steps, plot.smooth(_column(columns[f"{part}_loss"]), window), style, marks[part]) for part, style in PARTS]
    if metric == "accuracy":
        at = np.array(sorted(state.evals), dtype=float)
        return [plot.Line(at, _shares(state, f"{part}_accuracy"), style, marks[part]) for part, style in PARTS]
    values = _column(state.series.columns[metric])
    if metric not in SMOOTHED:
        return [plot.Line(steps, values, "smooth")]
    curves = [plot.Line(steps, values, "raw"), plot.Line(steps, plot.smooth(values, window), "smooth")]
    if metric == "loss" and state.evals:
        losses = np.array([state.evals[step].loss for step in sorted(state.evals)])
        curves.append(plot.Line(np.array(sorted(state.evals), dtype=float), losses, "eval", marks["eval"], True))
    return curves


def _shares(state: RunState, name: str) -> "np.ndarray":
    """A share of each evaluation in per cent, in the order of their steps; NaN where there is none."""
    import numpy as np

    return 100 * np.array([getattr(state.evals[step], name) for step in sorted(state.evals)], dtype=float)


def plot_window(state: RunState, x_range: tuple[float, float]) -> int:
    """Steps that the smoothing takes together."""
    seen = bisect_right(state.series.steps, x_range[1]) - bisect_left(state.series.steps, x_range[0])
    return max(1, seen // SMOOTHING_SPANS)


def _column(values: array) -> "np.ndarray":
    import numpy as np

    return np.frombuffer(values) if len(values) else np.empty(0)


def _round_up(last: int) -> int:
    """`last` with up to an eighth more, on a round number."""
    room = 10 ** (len(str(last)) - 1)
    grain = max(1, room // 4 if last < 4 * room else room // 2)
    return -(-last // grain) * grain

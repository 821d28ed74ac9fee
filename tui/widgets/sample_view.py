"""The samples of a run: the newest as it is written, older ones on demand, and what the base model answered to the same prompt.

How a sample looks is `tui.widgets.sample_lines`.
"""

from engine.events import SampleFinished
from tui.fold import LiveSample, RunState
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.chart import centred
from tui.widgets.sample_lines import SampleLines
from tui.widgets.steady import Line, SteadyView


class SampleView(SteadyView):
    """The newest sample, or an older one that was asked for."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self._state = RunState()
        self._reading = ""
        """Id of an older sample that was turned to; "" goes with the newest."""
        self._base = False
        self._shown = ""
        self.jumps = True
        self._layout = SampleLines(glyphs)

    def draw(self, state: RunState) -> None:
        """Show what `state` holds now; a new sample comes into sight unless an older one is being read."""
        self._state = state
        sample = self._sample()
        name = f"{sample.id}{'b' if self._base else ''}" if sample else ""
        if name != self._shown:
            self._shown, self.top = name, 0
            self._layout.forget()
            self.follows_end = isinstance(sample, LiveSample)
        self._retitle(sample)
        self.show(self._lines)

    def turn(self, samples: int) -> None:
        """Show an older (positive) or newer sample."""
        if ids := [sample.id for sample in self._all()]:
            place = min(max(0, self._place() - samples), len(ids) - 1)
            self._reading = ids[place] if place < len(ids) - 1 else ""
        self.draw(self._state)

    def toggle_base(self) -> None:
        """Show what the model answered to the same prompt before training, or the sample again."""
        self._base = not self._base
        self.draw(self._state)

    def _all(self) -> list[SampleFinished | LiveSample]:
        return [*self._state.samples, *self._state.live_samples.values()]

    def _place(self) -> int:
        """Of the sample that is shown, among all; the newest where what was read is gone."""
        ids = [sample.id for sample in self._all()]
        return ids.index(self._reading) if self._reading in ids else len(ids) - 1

    def _sample(self) -> SampleFinished | LiveSample | None:
        samples = self._all()
        sample = samples[self._place()] if samples else None
        if self._base and sample is not None:
            return self._state.base_samples.get(sample.prompt)
        return sample

    def _retitle(self, sample: SampleFinished | LiveSample | None) -> None:
        parts = [tr("train.sample.title")]
        if sample is not None:
            parts.append(tr("train.sample.at", step=sample.step) if sample.step else tr("train.sample.base"))
        if total := len(self._all()):
            parts.append(tr("train.sample.position", n=self._place() + 1, total=total))
        if isinstance(sample, LiveSample):
            parts.append(f"{self._glyphs.running} {tr('train.sample.writing')}")
        self.name_border(" · ".join(parts), well_formed_rate(self._state, self._glyphs))

    @property
    def _prompt_opens(self) -> bool:
        return self._state.data is None or self._state.data.thinking_style != "plain"

    def _lines(self, width: int, height: int) -> list[Line]:
        sample = self._sample()
        if sample is None:
            return centred(tr(f"train.sample.{self._nothing()}"), width, height)
        return self._layout.part("prompt", sample.prompt, width) + self._layout.said(sample, self._prompt_opens, width)

    def _nothing(self) -> str:
        """Why there is nothing to show."""
        if self._all():
            return "no_base"
        if self._state.stopped is not None:
            return "none_ended"
        return "empty" if self._state.step is None else "none"


def well_formed_rate(state: RunState, glyphs: Glyphs) -> str:
    """Well-formed samples of the base model → of the newest round; empty before the first."""
    rounds = [f"{one.well_formed}/{one.samples}" for one in state.rounds.values()]
    if not rounds:
        return ""
    return f"{tr('train.sample.rounds')} {f'{rounds[0]} {glyphs.arrow} ' if len(rounds) > 1 else ''}{rounds[-1]}"

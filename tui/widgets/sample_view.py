"""What the model says: prompt, thinking dimmed, answer bright, each under its name, and a verdict on the form.

A sample being written is shown as it grows (`tui.widgets.live_text`).
"""

from engine.events import SampleFinished
from tui import gate
from tui.amounts import rate
from tui.fold import LiveSample, RunState
from tui.glyphs import Glyphs
from tui.sentences import verdict
from tui.texts import tr
from tui.widgets.chart import centred
from tui.widgets.lines import wrap
from tui.widgets.live_text import split_live
from tui.widgets.steady import Line, SteadyView


class SampleView(SteadyView):
    """The newest sample, or an older one that was asked for."""

    def __init__(self, glyphs: Glyphs, **options):
        super().__init__(**options)
        self._glyphs = glyphs
        self._state = RunState()
        self._back = 0
        self._base = False
        self._shown = ""
        self.jumps = True
        self._laid_out: dict[tuple[str, str, int], list[Line]] = {}
        """Lines of whole paragraphs, so that a growing sample wraps only its last one again."""

    def draw(self, state: RunState) -> None:
        """Show what `state` holds now; a new sample comes into sight unless an older one is being read."""
        self._state = state
        sample = self._sample()
        name = f"{sample.id}{'b' if self._base else ''}" if sample else ""
        if name != self._shown:
            self._shown, self.top, self._laid_out = name, 0, {}
            self.follows_end = isinstance(sample, LiveSample)
        self._retitle(sample)
        self.show(self._lines)

    def turn(self, samples: int) -> None:
        """Show an older (positive) or newer sample."""
        self._back = min(max(0, self._back + samples), max(0, len(self._all()) - 1))
        self.draw(self._state)

    def toggle_base(self) -> None:
        """Show what the model answered to the same prompt before training, or the sample again."""
        self._base = not self._base
        self.draw(self._state)

    def _all(self) -> list[SampleFinished | LiveSample]:
        live = self._state.live_sample
        return [*self._state.samples, *([live] if live else [])]

    def _sample(self) -> SampleFinished | LiveSample | None:
        samples = self._all()
        sample = samples[max(0, len(samples) - 1 - self._back)] if samples else None
        if self._base and sample is not None:
            return self._state.base_samples.get(sample.prompt)
        return sample

    def _retitle(self, sample: SampleFinished | LiveSample | None) -> None:
        parts = [tr("train.sample.title")]
        if sample is not None:
            parts.append(tr("train.sample.at", step=sample.step) if sample.step else tr("train.sample.base"))
        if total := len(self._all()):
            parts.append(tr("train.sample.position", n=total - min(self._back, total - 1), total=total))
        if isinstance(sample, LiveSample):
            parts.append(f"{self._glyphs.running} {tr('train.sample.writing')}")
        self.name_border(" · ".join(parts), well_formed_rate(self._state))

    @property
    def _prompt_opens(self) -> bool:
        return self._state.data is None or self._state.data.thinking_style != "plain"

    def _lines(self, width: int, height: int) -> list[Line]:
        sample = self._sample()
        if sample is None:
            return centred(tr(f"train.sample.{self._nothing()}"), width, height)
        if isinstance(sample, LiveSample):
            thinking, answer = split_live(sample.text, self._prompt_opens)
        else:
            thinking, answer = sample.thinking, sample.answer
        lines = self._part("prompt", sample.prompt, width)
        if thinking or isinstance(sample, SampleFinished):
            lines += [[], *self._part("thinking", thinking, width)]
        if answer or isinstance(sample, SampleFinished):
            lines += [[], *self._part("answer", answer, width)]
        return lines if isinstance(sample, LiveSample) else [*lines, [], *self._verdict(sample, width)]

    def _nothing(self) -> str:
        """Why there is nothing to show."""
        if self._all():
            return "no_base"
        if self._state.stopped is not None:
            return "none_ended"
        return "empty" if self._state.step is None else "none"

    def _part(self, part: str, text: str, width: int) -> list[Line]:
        heading: Line = [(f"{self._glyphs.bar} ", "axis"), (tr(f"train.sample.{part}"), "title" if part != "thinking" else "dim")]
        if not text.strip():
            return [heading, [("  ", ""), (tr(f"train.sample.no_{part}") if part != "prompt" else "", "dim")]]
        paragraphs = gate.safe_lines(text.strip("\n")).split("\n")
        lines = [heading]
        for paragraph in paragraphs[:-1]:
            key = (part, paragraph, width)
            if key not in self._laid_out:
                self._laid_out[key] = _wrapped(paragraph, part, width)
            lines += self._laid_out[key]
        return lines + _wrapped(paragraphs[-1], part, width)

    def _verdict(self, sample: SampleFinished, width: int) -> list[Line]:
        sign, style = (self._glyphs.done, "good") if sample.well_formed else (self._glyphs.warning, "warn")
        numbers = tr("train.sample.tokens", n=sample.tokens, rate=rate(sample.tokens_per_s))
        return wrap([(f"{sign} {verdict(sample)}", style), (f" · {numbers}", "dim")], width, "  ")


def well_formed_rate(state: RunState) -> str:
    """Well-formed samples of the base model → of the newest round; empty before the first."""
    rounds = [f"{one.well_formed}/{one.samples}" for one in state.rounds.values()]
    if not rounds:
        return ""
    return f"{tr('train.sample.rounds')} {f'{rounds[0]} → ' if len(rounds) > 1 else ''}{rounds[-1]}"


def _wrapped(paragraph: str, part: str, width: int) -> list[Line]:
    return [[("  ", ""), *line] for line in wrap([(paragraph, part)], max(2, width - 2))]

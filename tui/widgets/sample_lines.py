"""What a model has written, as lines: thinking dimmed, answer bright, each under its name, and a verdict on the form.

For samples that are finished and for one that grows (`tui.widgets.live_text`).
"""

from engine.events import SampleFinished
from tui import gate
from tui.amounts import rate
from tui.fold import LiveSample
from tui.glyphs import Glyphs
from tui.sentences import verdict
from tui.texts import tr
from tui.widgets.lines import wrap
from tui.widgets.live_text import split_live
from tui.widgets.steady import Line


class SampleLines:
    """Lays out the parts of samples."""

    def __init__(self, glyphs: Glyphs):
        self._glyphs = glyphs
        self._laid_out: dict[tuple[str, str, int], list[Line]] = {}
        """Lines of whole paragraphs, so that a growing sample wraps only its last one again."""

    def forget(self) -> None:
        """Another sample is laid out from now on."""
        self._laid_out = {}

    def said(self, sample: SampleFinished | LiveSample, prompt_opens: bool, width: int, is_given_up: bool = False) -> list[Line]:
        """Thinking, answer and verdict, a blank line before each. is_given_up: it was ended before its time by whoever asked."""
        if isinstance(sample, LiveSample):
            thinking, answer = split_live(sample.text, prompt_opens)
        else:
            thinking, answer = sample.thinking, sample.answer
        lines: list[Line] = []
        if thinking or isinstance(sample, SampleFinished):
            lines += [[], *self.part("thinking", thinking, width)]
        if answer or isinstance(sample, SampleFinished):
            lines += [[], *self.part("answer", answer, width)]
        return lines if isinstance(sample, LiveSample) else [*lines, [], *self._verdict(sample, is_given_up, width)]

    def part(self, part: str, text: str, width: int) -> list[Line]:
        """One part under its name: prompt, thinking or answer."""
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

    def _verdict(self, sample: SampleFinished, is_given_up: bool, width: int) -> list[Line]:
        if is_given_up:
            sign, style, words = self._glyphs.stopped, "warn", tr("train.sample.given_up")
        else:
            sign, style = (self._glyphs.done, "good") if sample.well_formed else (self._glyphs.warning, "warn")
            words = verdict(sample)
        numbers = tr("train.sample.tokens", n=sample.tokens, rate=rate(sample.tokens_per_s))
        return wrap([(f"{sign} {words}", style), (f" · {numbers}", "dim")], width, "  ")


def _wrapped(paragraph: str, part: str, width: int) -> list[Line]:
    return [[("  ", ""), *line] for line in wrap([(paragraph, part)], max(2, width - 2))]

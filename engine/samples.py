"""The samples of a run: its fixed prompts, as many side by side as memory allows, or one on command.

Not here: how texts are generated (`engine.sampling`).
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from engine import events
from engine.assembly import Parts, prompt_ids
from engine.config import Config
from engine.obey import GIVEN_UP, LONG_PROMPT, NO_PROMPT
from engine.ranks import Ranks
from engine.sampling import Question, sample

T = TypeVar("T")


class Judge(Protocol):
    """Runs what looks at the weights as they are so far; None where memory runs out."""

    def __call__(self, what: str, work: Callable[[], T]) -> T | None: ...


class Samples:
    """Asks the model of `parts`; what comes of it goes to `emit`."""

    def __init__(
        self, parts: Parts, config: Config, ranks: Ranks, judge: Judge,
        emit: Callable[[events.Event], None], interrupted: Callable[[], bool],
    ):  # fmt: skip
        self._parts, self._config, self._ranks, self._judge = parts, config, ranks, judge
        self._emit, self._interrupted = emit, interrupted
        self.at_once = parts.samples_at_once
        """So many are written side by side: one, once memory ran out for more."""

    def round(self, step: int) -> None:
        """The model answers the fixed prompts; how many of the answers are well formed is an event of its own."""
        answers = self._answers(step, self._fixed(str(step)))
        if answers and not self._interrupted():  # an answer that was cut off says nothing of its form
            self._emit(
                events.SampleRound(
                    step=step,
                    samples=len(answers),
                    well_formed=sum(answer.well_formed for answer in answers),
                    closed=sum(answer.closed for answer in answers),
                )
            )

    def on_command(self, step: int, id: str, prompt: str) -> str:
        """The model answers `prompt`, or the fixed prompts when it is empty; why it does not, "" where it did."""
        questions = self._fixed(id)
        if prompt:
            ids, most = prompt_ids(self._parts.tokenizer, prompt, self._config.data.system), self._config.data.max_seq_length
            if len(ids) > most:  # no memory was reckoned for it, and a CPU would be at it for minutes, deaf
                return LONG_PROMPT.format(tokens=len(ids), most=most)
            questions = [Question(id, prompt, ids)]
        if not questions:
            return NO_PROMPT
        return GIVEN_UP if len(self._answers(step, questions)) < len(questions) else ""

    def _fixed(self, id: str) -> list[Question]:
        return [Question(f"{id}-{index}", text, ids) for index, (text, ids) in enumerate(self._parts.prompts)]

    def _answers(self, step: int, questions: list[Question]) -> list[events.SampleFinished]:
        """Of all questions, unless memory runs out for one even alone, or the run is to stop."""
        answers: list[events.SampleFinished] = []
        while questions and not self._interrupted():
            group = questions[: self.at_once]
            what = f"the sample {group[0].id}" if len(group) == 1 else "writing samples side by side"
            found = self._judge(what, partial(self._side_by_side, step, group))
            if found is None and len(group) > 1:
                self.at_once = 1
                continue
            answers += found or []
            questions = questions[len(group) :]
        return answers

    def _side_by_side(self, step: int, questions: list[Question]) -> list[events.SampleFinished]:
        return sample(
            self._parts.model, self._parts.tokenizer, questions, self._config.sample, step=step, seed=self._config.train.seed,
            emit=self._emit, interrupted=self._interrupted, agree=self._ranks.follow,
        )  # fmt: skip

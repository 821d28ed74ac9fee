"""The samples of a run: its fixed prompts one after another, or one on command. How a text is generated: `engine.sampling`."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from engine import events
from engine.assembly import Parts, prompt_ids
from engine.config import Config
from engine.obey import GIVEN_UP, LONG_PROMPT, NO_PROMPT
from engine.ranks import Ranks
from engine.sampling import sample

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

    def round(self, step: int) -> None:
        """The model answers the fixed prompts; how many of the answers are well formed is an event of its own."""
        answers = [
            self._answer(step, f"{step}-{index}", text, ids)
            for index, (text, ids) in enumerate(self._parts.prompts)
            if not self._interrupted()
        ]
        finished = [answer for answer in answers if answer is not None]
        if finished and not self._interrupted():  # an answer that was cut off says nothing of its form
            self._emit(
                events.SampleRound(
                    step=step,
                    samples=len(finished),
                    well_formed=sum(s.well_formed for s in finished),
                    closed=sum(s.closed for s in finished),
                )
            )

    def on_command(self, step: int, id: str, prompt: str) -> str:
        """The model answers `prompt`, or the fixed prompts when it is empty; why it does not, "" where it did."""
        if prompt:
            ids, most = prompt_ids(self._parts.tokenizer, prompt, self._config.data.system), self._config.data.max_seq_length
            if len(ids) > most:  # no memory was reckoned for it, and a CPU would be at it for minutes, deaf
                return LONG_PROMPT.format(tokens=len(ids), most=most)
            answers = [self._answer(step, id, prompt, ids)]
        else:
            answers = [self._answer(step, f"{id}-{index}", text, ids) for index, (text, ids) in enumerate(self._parts.prompts)]
        if not answers:
            return NO_PROMPT
        return GIVEN_UP if None in answers else ""

    def _answer(self, step: int, id: str, text: str, ids: list[int]) -> events.SampleFinished | None:
        """The sample's last event; None where memory ran out."""
        return self._judge(f"the sample {id}", lambda: sample(
            self._parts.model,
            self._parts.tokenizer,
            text,
            ids,
            self._config.sample,
            id=id,
            step=step,
            seed=self._config.train.seed,
            emit=self._emit,
            interrupted=self._interrupted,
            agree=self._ranks.follow,
        ))  # fmt: skip

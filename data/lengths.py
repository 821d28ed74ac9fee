"""How many tokens the examples of a file take, by part, and the percentiles of it. Nothing is dropped or cut here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from data.examples import ANSWER, THINKING, Example, ExampleBuilder, ExampleSettings
from data.reading import Record
from data.tokenizer import Tokenizer

PARTS = ("prompt", "thinking", "answer", "whole")
LONGEST = 1 << 40
"""No example is longer: all tokens are counted, and the cut-off is left to whoever looks at them."""


class Lengths(NamedTuple):
    """Tokens of one example, by part; prompt holds what is masked too."""

    record: int
    prompt: int
    thinking: int
    answer: int

    @property
    def whole(self) -> int:
        return self.prompt + self.thinking + self.answer


class Percentiles(Struct, frozen=True):
    """Tokens that a share of the records do not exceed (nearest rank); 0 of no record."""

    p50: int
    p95: int
    p99: int
    max: int


def settings_to_count(settings: ExampleSettings) -> ExampleSettings:
    """`settings` changed so that every example of a file is built, however long, with reasoning or without."""
    missing = "mask" if settings.missing_thinking == "drop" else settings.missing_thinking
    return structs.replace(settings, max_seq_length=LONGEST, over_length="drop", missing_thinking=missing)


def count_lengths(
    records: Iterable[Record], tokenizer: Tokenizer, settings: ExampleSettings, line: Callable[[int], int]
) -> Iterator[Lengths]:
    """Lengths of every example. line: of a record, by its index, for messages. Raises TemplateError for an unusable template."""
    builder = ExampleBuilder(tokenizer, settings_to_count(settings), lambda index: f"line {line(index)}")
    for examples in builder.build((record.index, record.conversation) for record in records):
        yield from map(_lengths, examples)


def longest_by_record(lengths: Iterable[Lengths]) -> dict[int, Lengths]:
    """Record → its longest example: the last turn, with all before it as the prompt."""
    found: dict[int, Lengths] = {}
    for one in lengths:
        if one.record not in found or one.whole > found[one.record].whole:
            found[one.record] = one
    return found


def percentiles_by_part(lengths: Iterable[Lengths]) -> dict[str, Percentiles]:
    """Percentiles for each of `PARTS` over the records, each by its longest example; only those with thinking count for thinking."""
    longest = longest_by_record(lengths).values()
    return {part: percentiles(value for one in longest if (value := getattr(one, part))) for part in PARTS}


def percentiles(values: Iterable[int]) -> Percentiles:
    """Percentiles of some numbers in any order."""
    ordered = sorted(values)
    return Percentiles(*(_at(ordered, share) for share in (50, 95, 99, 100)))


def _at(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that at least `percent` of all do not exceed."""
    return ordered[max(-(-percent * len(ordered) // 100) - 1, 0)] if ordered else 0


def _lengths(example: Example) -> Lengths:
    thinking, answer = example.parts.count(THINKING), example.parts.count(ANSWER)
    return Lengths(example.record, len(example.ids) - thinking - answer, thinking, answer)

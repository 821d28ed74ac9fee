"""A changed record as it is now: what it says, what is wrong with it, how many tokens it takes. Nothing of the file is looked at."""

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from data.conversation import Conversation
from data.dataset import Dataset
from data.errors import DanluError
from data.examples import ANSWER, THINKING, ExampleSettings, build_examples
from data.record import Fault, Record
from data.text_checks import look_at_texts
from data.tokenizer import Tokenizer


class Now(NamedTuple):
    """A changed record as it is now. conversation: None when it cannot be used.  lengths: (N, 4), as `RecordTable.lengths`."""

    conversation: Conversation | None
    problems: list[Fault]
    text: bytes
    lengths: np.ndarray


def read_changed(dataset: Dataset, line: int, raw: dict[str, Any]) -> tuple[Conversation | None, list[Fault]]:
    """The conversation of a record of `dataset` that a person changed, and what is wrong or odd about it."""
    conversation, problems = dataset.convert(raw)
    faults = [Fault(line, problem.field, problem.code, problem.text) for problem in problems]
    if conversation is not None:
        faults += look_at_texts([Record(0, line, conversation, raw)]).remarks.get(0, [])
    return conversation, faults


def count_changed(row: int, conversation: Conversation | None, tokenizer: Tokenizer | None, settings: ExampleSettings) -> np.ndarray:
    """(N, 4) lengths of a record's examples; empty where they cannot be counted."""
    examples = []
    if tokenizer is not None and conversation is not None:
        with suppress(DanluError):  # the token view says why
            examples = build_examples(conversation, tokenizer, settings, row)
    parts = [(row, len(one.ids), one.parts.count(THINKING), one.parts.count(ANSWER)) for one in examples]
    columns = np.array(parts, dtype=np.int32).reshape(-1, 4)
    columns[:, 1] -= columns[:, 2] + columns[:, 3]
    return columns


def longest(lengths: np.ndarray) -> int:
    """Tokens of the longest of some examples, 0 of none."""
    return int(lengths[:, 1:].sum(axis=1).max()) if len(lengths) else 0

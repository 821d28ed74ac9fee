"""What would make a run fit that does not: single changes in the order of what they cost, cheapest first.

Time before precision, precision before data. Says only what it has tried; applies nothing.
"""

from collections.abc import Callable, Iterator

import msgspec

from engine.config import Config
from engine.notes import Note, note

SHORTEST = 256
"""No length below this is offered: hardly any reasoning would be left."""


def cheapest_cure(config: Config, fits: Callable[[Config], bool]) -> Note:
    """The first change that makes `config` fit, else the advice to take a smaller model."""
    return next((found for found, changed in _cures(config) if fits(changed)), note("cure_smaller_model"))


def with_rows(config: Config, rows: int) -> Config:
    """`config` with micro-batches of `rows` rows and the same effective batch; `rows` divides batch_size."""
    steps = config.train.gradient_accumulation_steps * (config.train.batch_size // rows)
    return _replaced(config, "train", batch_size=rows, gradient_accumulation_steps=steps)


def fewer_rows(config: Config) -> list[int]:
    """Divisors of batch_size below it, largest first."""
    rows = config.train.batch_size
    return [fewer for fewer in range(rows // 2, 0, -1) if rows % fewer == 0]


def _cures(config: Config) -> Iterator[tuple[Note, Config]]:
    """Each note with the configuration it describes."""
    if config.train.gradient_checkpointing == "off":
        config = _replaced(config, "train", gradient_checkpointing="auto")
        yield note("cure_checkpointing"), config
    yield from _smaller_micro_batches(config, "cure_micro_batch")
    quantised = _replaced(config, "model", quantization="nf4")
    if config.model.quantization != "nf4":
        yield _describe("cure_nf4", quantised), quantised
        yield from _smaller_micro_batches(quantised, "cure_nf4")
    smallest, length = with_rows(quantised, 1), config.data.max_seq_length // 2
    while length >= SHORTEST:
        yield note("cure_length", max_seq_length=length), _replaced(smallest, "data", max_seq_length=length)
        length //= 2


def _smaller_micro_batches(config: Config, code: str) -> Iterator[tuple[Note, Config]]:
    for rows in fewer_rows(config):
        smaller = with_rows(config, rows)
        yield _describe(code, smaller), smaller


def _describe(code: str, config: Config) -> Note:
    return note(code, batch_size=config.train.batch_size, accumulation=config.train.gradient_accumulation_steps)


def _replaced(config: Config, section: str, **values: object) -> Config:
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **values)})

"""What would make a run fit that does not: single changes in the order of what they cost, cheapest first.

Micro-batch and checkpointing are chosen by `engine.fitting` already; these are changes only a person may make: time before precision,
precision before data. Says only what it has tried; applies nothing.
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


def _cures(config: Config) -> Iterator[tuple[Note, Config]]:
    """Each note with the configuration it describes."""
    if config.train.gradient_checkpointing == "off":
        config = _replaced(config, "train", gradient_checkpointing="auto")
        yield note("cure_checkpointing"), config
    if config.parallel.strategy == "single" or config.parallel.num_gpus == 1:
        config = _replaced(config, "parallel", strategy="auto", num_gpus=0)
        yield note("cure_strategy"), config
    if config.model.quantization != "nf4":
        config = _replaced(config, "model", quantization="nf4")
        yield note("cure_nf4"), config
    length = config.data.max_seq_length // 2
    while length >= SHORTEST:
        yield note("cure_length", max_seq_length=length), _replaced(config, "data", max_seq_length=length)
        length //= 2


def _replaced(config: Config, section: str, **values: object) -> Config:
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **values)})

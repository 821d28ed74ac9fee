"""What would make a run fit that does not: the cheapest single change, else the fewest together.

Micro-batch and checkpointing are chosen by `engine.fitting` already; these are changes only a person may make, in the order of what they
cost: samples before time, time before precision, precision before data. Says only what it has tried; applies nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from engine.config import Config
from engine.notes import Note, note

SHORTEST = 256
"""No length below this is offered: hardly any reasoning would be left."""


class Change(NamedTuple):
    """code: of the note that tells it alone.  values: of keys in `section`."""

    code: str
    section: str
    values: dict[str, Any]

    @property
    def text(self) -> str:
        return ", ".join(f"{self.section}.{key} = {value!r}" for key, value in self.values.items())


def cheapest_cure(config: Config, fits: Callable[[Config], bool]) -> Note:
    """The cheapest change that makes `config` fit, several where no single one does, else the advice to take a smaller model."""
    kinds = [kind for kind in map(list, _kinds(config)) if kind]
    for change in (change for kind in kinds for change in kind):
        if fits(_changed(config, [change])):
            return note(change.code, **change.values)
    together = _together(config, kinds, fits)
    return note("cure_several", changes="; ".join(change.text for change in together)) if together else note("cure_smaller_model")


def _kinds(config: Config) -> Iterator[Iterator[Change]]:
    """Kinds of changes, the cheapest first; of each the mildest first."""
    yield (Change("cure_samples", "sample", {"max_new_tokens": tokens}) for tokens in _halves(config.sample.max_new_tokens))
    if config.model.precision == "fp32":
        yield iter([Change("cure_precision", "model", {"precision": "auto"})])
    if config.train.gradient_checkpointing == "off":
        yield iter([Change("cure_checkpointing", "train", {"gradient_checkpointing": "auto"})])
    if config.parallel.strategy != "auto" or config.parallel.num_gpus == 1:
        yield iter([Change("cure_strategy", "parallel", {"strategy": "auto", "num_gpus": 0})])
    if config.model.quantization != "nf4":
        yield iter([Change("cure_nf4", "model", {"quantization": "nf4"})])
    yield (Change("cure_length", "data", {"max_seq_length": tokens}) for tokens in _halves(config.data.max_seq_length))


def _halves(tokens: int) -> Iterator[int]:
    while (tokens := tokens // 2) >= SHORTEST:
        yield tokens


def _together(config: Config, kinds: list[list[Change]], fits: Callable[[Config], bool]) -> list[Change]:
    """The changes of the cheapest kinds that make it fit together, without those that are not needed; [] where all of them do not."""
    taken: list[Change] = []
    for kind in kinds:
        for change in kind:
            if fits(_changed(config, [*taken, change])):
                return _needed(config, [*taken, change], fits)
        taken.append(kind[-1])
    return []


def _needed(config: Config, changes: list[Change], fits: Callable[[Config], bool]) -> list[Change]:
    """`changes` less each, the most expensive first, without which it fits as well."""
    for change in reversed(changes):
        rest = [other for other in changes if other is not change]
        if fits(_changed(config, rest)):
            changes = rest
    return changes


def _changed(config: Config, changes: list[Change]) -> Config:
    for _, section, values in changes:
        config = msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **values)})
    return config

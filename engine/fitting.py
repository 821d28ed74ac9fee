"""The memory manager's choice: micro-batch, accumulation, checkpointing and loss chunk that fit the free memory.

The effective batch stays as asked, so the choice changes speed and memory but no gradient beyond float order. Pure; what watches
memory while a run goes on is `engine.pressure`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import Struct, structs

from engine.config import Config
from engine.forecast import CHUNK_BYTES, Forecast

SMALL_CHUNK_BYTES = 8 << 20
"""Costs some speed of the head's product, saves up to 0.2 GiB on a GPU and little on a CPU."""
FULL_TOKENS = 1024
"""Micro-batches of so many tokens keep a device busy; smaller ones are only taken once checkpointing is on as well."""
STEPS = 8
"""Layers are recomputed by so many parts of all: the forecast is not finer than that."""

CPU_TOKENS = 512
"""A CPU works through pieces of a micro-batch of so many tokens (or one longer example): as fast as larger ones, which its caches don't
hold, and a fraction of their memory."""


def piece_tokens(on_gpu: bool, ranks: int) -> int | None:
    """Most tokens that pass through the model at once, where an example is not longer; None: whole micro-batches.

    Ranks that share weights must all make equally many passes, so theirs are not cut.
    """
    return None if on_gpu or ranks > 1 else CPU_TOKENS


class Setting(NamedTuple):
    """What may be chosen: rows of a micro-batch, layers that are recomputed, bytes of a loss chunk, and whether what recomputed layers keep
    lies in the host's memory."""

    rows: int
    recomputed_layers: int
    chunk_bytes: int
    offloads_inputs: bool = False


class Fit(Struct, frozen=True, kw_only=True):
    """micro_batch: rows, 0 where not even one fits; the other fields then tell of the least that was tried."""

    micro_batch: int
    accumulation: int
    recomputed_layers: int
    chunk_bytes: int
    offloads_inputs: bool
    forecast: Forecast

    @property
    def fits(self) -> bool:
        return self.micro_batch > 0


Measure = Callable[[Setting], Forecast]


def choose(
    config: Config, rows: int, row_tokens: int, layers: int, can_offload: bool, measure: Measure, holds: Callable[[Forecast], bool]
) -> Fit:
    """The fastest setting that `holds`, for `rows` rows of at most `row_tokens` tokens that one process takes in a step through a model of
    `layers` layers. can_offload: whether the inputs of recomputed layers may go to the host's memory."""
    found = None
    for setting in _settings(config, rows, row_tokens, layers, can_offload):
        found = Fit(
            micro_batch=setting.rows, accumulation=-(-rows // setting.rows), recomputed_layers=setting.recomputed_layers,
            chunk_bytes=setting.chunk_bytes, offloads_inputs=setting.offloads_inputs, forecast=measure(setting),
        )  # fmt: skip
        if holds(found.forecast):
            return found
    assert found is not None
    return structs.replace(found, micro_batch=0, accumulation=rows)


def _settings(config: Config, rows: int, row_tokens: int, layers: int, can_offload: bool) -> Iterator[Setting]:
    """From fast to frugal. Recomputing all layers costs a third of a step, half a micro-batch that is still full hardly anything, and the
    inputs' way to the host and back saves little where rows are short."""
    asked = config.train.gradient_checkpointing
    sizes = micro_batches(min(config.train.batch_size, rows), rows)
    full = [size for size in sizes if asked == "off" or size == sizes[0] or size * row_tokens >= FULL_TOKENS]
    most = 0 if asked == "off" else layers
    offloads = can_offload and asked == "offload"
    for recomputed_layers in {"off": [0], "auto": _steps(layers)}.get(asked, []):
        for size in full:
            yield Setting(size, recomputed_layers, CHUNK_BYTES)
    for size in sizes if asked != "off" else []:
        yield Setting(size, most, CHUNK_BYTES, offloads)
    yield Setting(1, most, SMALL_CHUNK_BYTES, offloads)
    if can_offload and asked == "auto":
        yield Setting(1, most, SMALL_CHUNK_BYTES, offloads_inputs=True)


def _steps(layers: int) -> list[int]:
    """None of the layers, an eighth, two eighths and so on; all of them are for whoever asks."""
    return sorted({layers * eighths // STEPS for eighths in range(STEPS)})


def micro_batches(largest: int, rows: int) -> list[int]:
    """`largest`, and every smaller size that divides `rows` evenly, down to 1."""
    return [largest, *(size for size in range(largest - 1, 0, -1) if rows % size == 0)]

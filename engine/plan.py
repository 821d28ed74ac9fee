"""Can this configuration be trained on this machine, and how: memory against what is there, checkpointing, precision, strategy, time.

Instant and pure: nothing is loaded, measured or fetched, so a form may ask after every key. Each decision comes with a note that
says why. What memory consists of is `engine.forecast`, what would make it fit `engine.cures`, how fast it will be `engine.speed`.
"""

from typing import Any

import msgspec
from msgspec import Struct

from engine import speed
from engine.config import Config
from engine.cures import cheapest_cure, fewer_rows, with_rows
from engine.forecast import Forecast, forecast, workload
from engine.hardware import Machine
from engine.model_shape import ModelShape
from engine.notes import Note, note

MARGIN = 1.05
"""Room asked for above the forecast: allocator rounding and what a forecast can't know."""
FP16_OVERFLOWS = ("qwen",)
"""Model families whose activations leave fp16's range (NaN within steps)."""
BUSY_GIB = 1.0
"""VRAM taken by others from which on it is worth a word."""


class RunPlan(Struct, frozen=True, kw_only=True):
    """components: GiB by name, adding up to peak_memory_gib.  micro_batch: most rows up to batch_size that fit, 0 if none.
    strategy: "gpu" or "cpu".  tokens_per_s, time_s: estimates, None when nothing is known to base one on."""

    peak_memory_gib: float
    available_gib: float
    fits: bool
    components: dict[str, float]
    micro_batch: int
    strategy: str
    precision: str
    gradient_checkpointing: bool
    notes: tuple[Note, ...]
    tokens_per_s: float | None = None
    time_s: float | None = None

    @property
    def reasons(self) -> list[str]:
        """The notes in English."""
        return [found.text for found in self.notes]

    def facts(self) -> dict[str, Any]:
        """What `danlu plan --json` prints."""
        facts = msgspec.structs.asdict(self) | {"reasons": self.reasons}
        del facts["notes"]
        return facts


def make_plan(config: Config, shape: ModelShape, machine: Machine, tokens: int | None = None, precision: str | None = None) -> RunPlan:
    """The plan of `config` on `machine`.

    tokens: real tokens of one epoch of the training data.  precision: the compute type the engine has measured to be best; by
    default the one the machine's facts suggest.
    """
    chosen, precision_note = recommend_precision(config, shape, machine)
    if precision is not None and precision != chosen:
        chosen, precision_note = precision, note("precision_measured", precision=precision)
    room = _Room(shape, machine, chosen)
    checkpointing, checkpointing_note = _choose_checkpointing(config, room)
    whole = room.forecast(config, checkpointing)
    fits = room.holds(whole)
    rate = speed.tokens_per_s(config, shape, machine, chosen, checkpointing)
    return RunPlan(
        peak_memory_gib=whole.peak,
        available_gib=machine.available_gib,
        fits=fits,
        components=whole.components,
        micro_batch=_largest_micro_batch(config, room, checkpointing),
        strategy="gpu" if machine.training_gpu else "cpu",
        precision=chosen,
        gradient_checkpointing=checkpointing,
        notes=(*_verdict(config, whole, room), precision_note, checkpointing_note, *_strategy(machine, fits), _speed_note(rate)),
        tokens_per_s=rate,
        time_s=speed.seconds(config, tokens, rate),
    )


def recommend_precision(config: Config, shape: ModelShape, machine: Machine) -> tuple[str, Note]:
    """The compute type and why; on a CPU the engine measures once more before it starts."""
    asked, gpu = config.model.precision, machine.training_gpu
    if asked != "auto":
        return asked, note("precision_configured", precision=asked)
    if gpu is None:
        return ("bf16", note("precision_cpu_bf16")) if machine.cpu.has_bf16 else ("fp32", note("precision_cpu_fp32"))
    if gpu.has_bf16:
        return "bf16", note("precision_gpu_bf16", gpu=gpu.name)
    if shape.model_type.startswith(FP16_OVERFLOWS):
        return "fp32", note("precision_gpu_fp32", gpu=gpu.name, model_type=shape.model_type)
    return "fp16", note("precision_gpu_fp16", gpu=gpu.name)


class _Room:
    """The memory of a machine, against which variants of a configuration are held."""

    def __init__(self, shape: ModelShape, machine: Machine, precision: str):
        self.shape, self.machine, self.precision = shape, machine, precision

    def forecast(self, config: Config, gradient_checkpointing: bool) -> Forecast:
        return forecast(self.shape, workload(config, self.precision, self.machine.training_gpu is not None, gradient_checkpointing))

    def holds(self, whole: Forecast) -> bool:
        return whole.peak * MARGIN <= self.machine.available_gib

    def fits(self, config: Config) -> bool:
        """With checkpointing unless `config` forbids it."""
        return self.holds(self.forecast(config, config.train.gradient_checkpointing != "off"))


def _choose_checkpointing(config: Config, room: _Room) -> tuple[bool, Note]:
    asked = config.train.gradient_checkpointing
    if asked != "auto":
        return asked == "on", note("checkpointing_configured", asked=asked)
    without = room.forecast(config, False)
    needed = not room.holds(without)
    code = "checkpointing_needed" if needed else "checkpointing_not_needed"
    return needed, note(code, without_gib=without.peak, available_gib=room.machine.available_gib)


def _verdict(config: Config, whole: Forecast, room: _Room) -> list[Note]:
    available, gpu = room.machine.available_gib, room.machine.training_gpu
    if room.holds(whole):
        return [note("fits", peak_gib=whole.peak, available_gib=available)]
    notes = [note("does_not_fit", peak_gib=whole.peak, available_gib=available)]
    if gpu is not None and (taken := (gpu.vram_total_gib or 0.0) - available) > BUSY_GIB:
        notes.append(note("gpu_busy", taken_gib=taken, gpu=gpu.name))
    return [*notes, cheapest_cure(config, room.fits)]


def _largest_micro_batch(config: Config, room: _Room, gradient_checkpointing: bool) -> int:
    offered = (config.train.batch_size, *fewer_rows(config))
    return next((rows for rows in offered if room.holds(room.forecast(with_rows(config, rows), gradient_checkpointing))), 0)


def _strategy(machine: Machine, fits: bool) -> list[Note]:
    """Where it trains, and what more GPUs would give."""
    gpu = machine.training_gpu
    if gpu is None:
        return [_why_cpu(machine)]
    notes = [note("strategy_gpu", gpu=gpu.name)]
    used = [other for other in machine.gpus if other.index in machine.visible and not other.problem]
    if len(used) > 1:
        linked = all(other.nvlinks for other in used)
        code = "strategy_data_parallel" if fits else "strategy_sharded" if linked else "strategy_nf4_first"
        notes.append(note(code, gpus=len(used)))
    return notes


def _why_cpu(machine: Machine) -> Note:
    usable = next((gpu for gpu in machine.gpus if not gpu.problem), None)
    if usable is None:
        return note("strategy_cpu")
    return note("strategy_no_cuda" if machine.torch_is_cpu_only else "strategy_hidden", gpu=usable.name)


def _speed_note(rate: float | None) -> Note:
    return note("time_unknown_rate") if rate is None else note("time_estimate", tokens_per_s=rate)

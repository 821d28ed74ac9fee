"""Can this configuration be trained on this machine, and how: memory against what is there, micro-batch, precision, strategy, time.

Instant and pure: nothing is loaded, measured or fetched, so a form may ask after every key. Each decision comes with a note that
says why. What memory consists of is `engine.forecast`, which ways there are `engine.strategy`, what would make it fit `engine.cures`.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from engine import speed
from engine.activations import why_plain
from engine.config import Config
from engine.cures import cheapest_cure
from engine.fitting import SMALL_CHUNK_BYTES
from engine.forecast import base_bytes
from engine.hardware import Machine
from engine.model_shape import ModelShape
from engine.notes import Note, note
from engine.options import Case, Option, certainty_of, work_out
from engine.strategy import driven, recommend

FP16_OVERFLOWS = ("qwen",)
"""Model families whose activations leave fp16's range (NaN within steps)."""
BUSY_GIB = 1.0
"""VRAM taken by others from which on it is worth a word."""
WORTH_TELLING = 10
"""Percent of the time from which on it is told what evaluations and samples take."""


class RunPlan(Struct, frozen=True, kw_only=True):
    """peak_memory_gib: of each process.  peak_low_gib, peak_high_gib: band that holds nine runs in ten.  probability: that it fits.
    components: GiB by name, adding up to peak_memory_gib.  micro_batch: rows, 0 where not even one fits; accumulation: micro-batches
    each process takes a step.  strategy: "single", "ddp" or "fsdp2".  gpus: NVML indices on each machine, in the order of the ranks.
    recomputed_layers: of num_layers, whose activations are computed again in backward (gradient checkpointing).  offloads_inputs: what
    these keep lies in the host's memory.
    recommended: name of the best option; another one than `strategy` where the configuration would have to change for it.
    forecast_gib: the peak before earlier runs corrected it.  samples_at_once: so many are generated side by side.
    tokens_per_s, step_s, time_s: estimates, None when nothing is known; the last of the whole run."""

    peak_memory_gib: float
    peak_low_gib: float
    peak_high_gib: float
    probability: float
    available_gib: float
    fits: bool
    components: dict[str, float]
    micro_batch: int
    accumulation: int
    device: str
    strategy: str
    gpus: tuple[int, ...]
    num_nodes: int
    world_size: int
    recommended: str
    options: tuple[Option, ...]
    precision: str
    recomputed_layers: int
    num_layers: int
    offloads_inputs: bool
    chunk_bytes: int
    forecast_gib: float
    samples_at_once: int
    notes: tuple[Note, ...]
    tokens_per_s: float | None = None
    step_s: float | None = None
    time_s: float | None = None

    @property
    def reasons(self) -> list[str]:
        """The notes in English."""
        return [found.text for found in self.notes]

    def facts(self) -> dict[str, Any]:
        """What `danlu plan --json` prints."""
        facts = msgspec.structs.asdict(self) | {"reasons": self.reasons, "options": [option.facts() for option in self.options]}
        del facts["notes"]
        return facts | {"gpus": list(self.gpus)}


def make_plan(
    config: Config,
    shape: ModelShape,
    machine: Machine,
    tokens: int | None = None,
    precision: str | None = None,
    longest: Callable[[int], int] | None = None,
) -> RunPlan:
    """The plan of `config` on `machine`.

    tokens: real tokens of one epoch of the training data.  precision: the compute type the engine has measured to be best; by
    default the one the machine's facts suggest.  longest: tokens of the longest micro-batch of so many rows, where the data is known.
    """
    chosen, precision_note = recommend_precision(config, shape, machine)
    if precision is not None and precision != chosen:
        chosen, precision_note = precision, note("precision_measured", precision=precision)
    case = Case(config, shape, machine, chosen, tokens, longest)
    options = recommend(case)
    way = driven(case, options)
    rate = way.step_s and speed.rows_of_a_step(config) * speed.row_tokens(config) / way.step_s
    samples_at_once = way.forecast.samples_at_once
    read = base_bytes(shape, chosen, config.model.quantization)
    sample_s = speed.sample_round_s(config, shape, machine.training_gpu, read, samples_at_once)
    duration = speed.duration(config, tokens, rate, way.recomputed_layers, shape.num_layers, sample_s)
    certainty = certainty_of(machine, machine.training_gpu)
    low, high = certainty.band(way.peak_gib)
    return RunPlan(
        peak_memory_gib=way.peak_gib, peak_low_gib=low, peak_high_gib=high,
        probability=certainty.probability(way.peak_gib, way.available_gib), available_gib=way.available_gib, fits=way.fits,
        components={name: size * certainty.factor for name, size in way.forecast.components.items()},
        micro_batch=way.micro_batch, accumulation=way.accumulation, device="gpu" if machine.training_gpu else "cpu",
        strategy=way.strategy, gpus=way.gpus, num_nodes=way.num_nodes, world_size=way.world_size, recommended=options[0].name,
        options=options, precision=chosen, recomputed_layers=way.recomputed_layers, num_layers=shape.num_layers,
        offloads_inputs=way.offloads_inputs, chunk_bytes=way.chunk_bytes, forecast_gib=way.forecast.peak,
        samples_at_once=samples_at_once,
        notes=(
            *_verdict(case, way), precision_note, *_setting_notes(case, way), *_strategy_notes(case, way, options[0]),
            *_time_notes(case, rate, duration),
        ),
        tokens_per_s=rate, step_s=way.step_s, time_s=duration and sum(duration),
    )  # fmt: skip


def recommend_precision(config: Config, shape: ModelShape, machine: Machine) -> tuple[str, Note]:
    """The compute type and why; on a CPU the engine measures once more before it starts."""
    asked, gpu = config.model.precision, machine.training_gpu
    if asked == "bf16" and gpu is not None and not gpu.has_bf16:
        return asked, note("precision_refused_bf16", gpu=gpu.name)
    if asked == "fp16" and shape.model_type.startswith(FP16_OVERFLOWS):
        return asked, note("precision_refused_fp16", model_type=shape.model_type)
    if asked != "auto":
        return asked, note("precision_configured", precision=asked)
    if gpu is None:
        return ("bf16", note("precision_cpu_bf16")) if machine.cpu.has_bf16 else ("fp32", note("precision_cpu_fp32"))
    if gpu.has_bf16:
        return "bf16", note("precision_gpu_bf16", gpu=gpu.name)
    if shape.model_type.startswith(FP16_OVERFLOWS):
        return "fp32", note("precision_gpu_fp32", gpu=gpu.name, model_type=shape.model_type)
    return "fp16", note("precision_gpu_fp16", gpu=gpu.name)


def _verdict(case: Case, way: Option) -> list[Note]:
    if way.fits:
        return [note("fits", peak_gib=way.peak_gib, available_gib=way.available_gib), *_gpu_notes(case.machine, way)]
    told = note("does_not_fit", peak_gib=way.peak_gib, available_gib=way.available_gib)
    return [told, *_gpu_notes(case.machine, way), cheapest_cure(case.config, lambda changed: _fits(case, changed))]


def _gpu_notes(machine: Machine, way: Option) -> list[Note]:
    """What other programs hold of the GPUs that would be used, and GPUs that cannot be."""
    notes = []
    for gpu in machine.gpus:
        name = f"GPU {gpu.index} ({gpu.name})"
        taken = (gpu.vram_total_gib or 0.0) - (gpu.vram_free_gib or 0.0)
        if gpu.problem:
            notes.append(note("gpu_left_out", gpu=f"GPU {gpu.index}"))
        elif gpu.index in way.gpus and taken > BUSY_GIB:
            notes.append(note("gpu_busy", taken_gib=taken, gpu=name))
    return notes


def _fits(case: Case, changed: Config) -> bool:
    """Whether `changed` can be driven on the same machine."""
    as_before = changed.model.precision == case.config.model.precision
    precision = case.precision if as_before else recommend_precision(changed, case.shape, case.machine)[0]
    other = Case(changed, case.shape, case.machine, precision, case.tokens)
    return driven(other, work_out(other)).fits


def _setting_notes(case: Case, way: Option) -> list[Note]:
    """What the memory manager chose, and why."""
    asked = case.config.train.gradient_checkpointing
    if asked == "offload" and not way.offloads_inputs:
        notes = [note("checkpointing_stays")]
    elif asked != "auto":
        notes = [note("checkpointing_configured", asked=asked)]
    elif way.offloads_inputs:
        notes = [note("checkpointing_offloaded", available_gib=way.available_gib)]
    elif way.recomputed_layers:
        told = {"recomputed": way.recomputed_layers, "layers": case.shape.num_layers, "available_gib": way.available_gib}
        notes = [note("checkpointing_needed", **told)]
    else:
        notes = [note("checkpointing_not_needed", peak_gib=way.peak_gib, available_gib=way.available_gib)]
    wanted = min(case.config.train.batch_size, -(-speed.rows_of_a_step(case.config) // way.world_size))
    if 0 < way.micro_batch < wanted:
        notes.append(note("micro_batch_smaller", micro_batch=way.micro_batch, accumulation=way.accumulation, wanted=wanted))
    if way.fits and way.chunk_bytes == SMALL_CHUNK_BYTES:
        notes.append(note("loss_chunks_smaller"))
    if why := why_plain(case.shape, case.config.lora.variant, way.strategy == "fsdp2"):
        notes.append(note("plain_layers", why=why))
    return notes


def _strategy_notes(case: Case, way: Option, best: Option) -> list[Note]:
    """Where it trains, and what would be better if the configuration were another."""
    if case.is_on_cpu:
        notes = [_why_cpu(case.machine)]
    elif way.world_size > 1:
        notes = [note(f"strategy_{way.strategy}", gpus=way.world_size)]
    else:
        notes = [note("strategy_gpu", gpu=way.gpu_name)]
    if best.name != way.name and best.fits and best.driven:
        notes.append(note("recommended_other", name=best.name, peak_gib=best.peak_gib))
    return notes


def _why_cpu(machine: Machine) -> Note:
    usable = next((gpu for gpu in machine.gpus if not gpu.problem), None)
    if usable is None:
        return note("strategy_cpu")
    return note("strategy_no_cuda" if machine.torch_is_cpu_only else "strategy_hidden", gpu=usable.name)


def _time_notes(case: Case, rate: float | None, duration: speed.Duration | None) -> list[Note]:
    if rate is None:
        return [note("time_unknown_rate")]
    notes = [note("time_measured" if case.is_on_cpu else "time_estimate", tokens_per_s=f"{rate:,.0f}" if rate >= 10 else f"{rate:.1g}")]
    if duration is None:
        return [*notes, note("time_unknown_data")]
    evaluations, samples = (round(100 * part / sum(duration)) for part in duration[1:])
    return [*notes, note("time_parts", evaluations=evaluations, samples=samples)] if max(evaluations, samples) >= WORTH_TELLING else notes

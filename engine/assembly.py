"""Puts the parts of a run together in order, each with its phase event: model files, tokenizer, data, model, plan.

Decides nothing that a part decides for itself; holds no loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import PeftModel
from torch import Tensor

from data.conversation import Conversation, Turn
from data.counted import counted
from data.errors import DataError
from data.example_store import ExampleStore
from data.examples import Example
from data.preparation import Prepared, prepare, settings_of
from data.tokenizer import Tokenizer, load_tokenizer
from engine import events, gguf, model_source
from engine.activations import base_type
from engine.batches import BEGINNING, Origin, StepPlan
from engine.checkpoint import TrainingState, read_start
from engine.config import Config
from engine.errors import ModelError
from engine.fitting import piece_tokens
from engine.hardware import LoadSampler, detect
from engine.initialisation import Start, begin_at, find_start
from engine.loading import LoadedModel, add_adapter, is_stored_as, load_base, model_type, name_base, pick_device, prepare_training
from engine.loss import CHUNK_BYTES
from engine.model_shape import ModelShape
from engine.optimizers import build_optimizer
from engine.packing_check import ONE_EXAMPLE, leaks
from engine.plan import RunPlan, make_plan
from engine.precision import choose_precision
from engine.probe import longest_tokens
from engine.ranks import ALONE, Ranks
from engine.reporter import Reporter
from engine.resuming import MUST_MATCH, fingerprint, rows_per_step
from engine.run_directory import RunDirectory
from engine.sharding import shard_base
from engine.train_step import Updater


@dataclass
class Parts:
    """Everything the loop needs. prompts: (text, token ids) of the fixed prompts.  micro_batch: rows that fit, at most batch_size.
    piece_tokens: most tokens that pass through the model at once, None for whole micro-batches.  place: file and line of an example."""

    model: LoadedModel
    model_folder: Path
    tokenizer: Tokenizer
    examples: ExampleStore
    eval_examples: ExampleStore
    prompts: list[tuple[str, list[int]]]
    steps: StepPlan
    updater: Updater
    fingerprint: dict[str, str]
    plan: RunPlan
    plan_event: events.Plan
    micro_batch: int
    piece_tokens: int | None
    samples_at_once: int
    place: Callable[[Example], str]

    def plan_event_after_probe(self, peak_gib: float) -> events.Plan:
        """The plan again, with the measured peak and the optimiser's state, which the first step adds."""
        state = self.plan.components.get("optimizer", 0.0)
        return msgspec.structs.replace(self.plan_event, probed_peak_gib=peak_gib + state)


def assemble(
    run: RunDirectory, config: Config, reporter: Reporter, resumed: TrainingState | None, checkpoint: Path | None, ranks: Ranks = ALONE
) -> Parts:
    """Build the parts of `config`, telling each phase. resumed: the state the run goes on from.  checkpoint: its folder, where it is here.

    Raises DanluError.
    """
    if config.track.tensorboard:
        reporter.open_tensorboard()
    folder = ranks.one_by_one(lambda: locate(config, reporter.emit))
    tokenizer = load_tokenizer(folder)
    prepared = _prepare_data(run if ranks.is_first else None, config, tokenizer, reporter)
    steps = _step_plan(config, prepared, resumed)
    device = pick_device(ranks.local_rank)
    precision, precision_reason = ranks.follow(_precision(config, device, folder, resumed))
    facts = model_source.read_config(folder)
    shape = ModelShape.from_config(facts)
    lengths = prepared.train.lengths.tolist()
    most = piece_tokens(device.type == "cuda", ranks.size)
    plan = make_plan(config, shape, detect(), sum(lengths), precision, lambda rows: longest_tokens(steps, lengths, rows, most))
    # Each has looked at its own GPU, and the fullest decides.
    recomputed_layers, offloads = map(max, zip(*ranks.gather([plan.recomputed_layers, plan.offloads_inputs]), strict=True))
    micro_batch, samples_at_once = map(min, zip(*ranks.gather([max(1, plan.micro_batch), plan.samples_at_once]), strict=True))
    marks = fingerprint(config, prepared.fingerprint, precision, device, ranks.strategy, ranks.size)
    _must_agree(ranks, facts, marks)
    reporter.emit(events.Phase(name="load", detail=config.model.name))
    held = base_type(shape, precision, config.model.quantization, config.lora.variant, config.lora.init, ranks.is_sharded)
    held = held if is_stored_as(folder, held) else precision
    base = load_base(folder, held, config.model.quantization, torch.device("cpu") if ranks.is_sharded else device)
    peft = add_adapter(base, shape, config.lora, config.train.seed)
    name_base(peft, model_source.loadable_name(config.model, folder), config.model.revision)
    start = _begin(peft, config.lora.init, checkpoint, ranks) if config.lora.init != "default" else None
    if ranks.is_sharded:
        shard_base(peft, device, ranks)
    ranks.copy([parameter.data for parameter in peft.parameters() if parameter.requires_grad])
    model = prepare_training(peft, shape, config.lora, device, precision, int(recomputed_layers))
    if model.fused is None and leaks(model):
        most = _one_by_one(ranks, reporter, shape.model_type)
    model.start, model.neftune_alpha = start, config.train.neftune_alpha
    if offloads:
        model.offload()
    model.chunk_bytes = plan.chunk_bytes if plan.chunk_bytes < CHUNK_BYTES else None
    told = _plan_event(plan, steps, model, precision_reason, shape.parameters)
    reporter.emit(told)
    reporter.watch_hardware(LoadSampler().sample)
    return Parts(
        model=model,
        model_folder=folder,
        tokenizer=tokenizer,
        examples=prepared.train,
        eval_examples=prepared.eval[: config.eval.max_examples],
        prompts=_prompts(config, tokenizer, prepared),
        steps=steps,
        updater=_updater(config, model.trainable(), precision),
        fingerprint=marks,
        plan=plan,
        plan_event=told,
        micro_batch=int(micro_batch),
        piece_tokens=most,
        samples_at_once=int(samples_at_once),
        place=lambda example: f"{Path(config.data.path).name}:{prepared.dataset.records[example.record].line}",
    )


def _begin(model: PeftModel, init: str, checkpoint: Path | None, ranks: Ranks) -> Start:
    """Adapters that begin as a part of the base, which gives it away, on all ranks alike; a resumed run's as they began."""
    first = next(parameter for parameter in model.parameters() if parameter.requires_grad)
    start = read_start(checkpoint, first.device) if checkpoint else find_start(model, init)
    ranks.copy([start[name] for name in sorted(start)])
    begin_at(model, start)
    return {name: matrix.cpu() for name, matrix in start.items()}


def _one_by_one(ranks: Ranks, reporter: Reporter, model_type: str) -> int:
    """Pieces of one example each, and that told. Raises ModelError where ranks must make equally many passes."""
    if ranks.size > 1:
        raise ModelError(f"model_type = {model_type!r}: examples in one row would see one another; set parallel.strategy = 'single'")
    reporter.warn("not_packed", f"examples of one row would see one another in {model_type} models, so each passes alone: exact but slower")
    return ONE_EXAMPLE


def _must_agree(ranks: Ranks, model_config: dict[str, Any], marks: dict[str, str]) -> None:
    """Raise RunError on a rank that has other data, another model (its path may differ), other settings or other software."""
    ranks.must_match("the model's config.json", model_config)
    for name in (*MUST_MATCH, "rows_per_step", "precision", "versions"):
        if name != "model":
            ranks.must_match(name, marks[name])


def prompt_ids(tokenizer: Tokenizer, prompt: str, system: str) -> list[int]:
    """Token ids of a single question, ending in the generation prompt."""
    return tokenizer.prompt_ids(Conversation(turns=(Turn(role="user", content=prompt),), system=system))


def locate(config: Config, emit: Callable[[events.Event], None]) -> Path:
    """The folder with the base model's files, fetched or converted first where that is needed. Raises DanluError."""
    emit(events.Phase(name="fetch", detail=config.model.name))
    return model_source.locate(
        config.model,
        progress=lambda done, total, detail: emit(events.Phase(name="fetch", done=done, total=total, detail=detail)),
        convert=gguf.convert,
    )


def _prepare_data(run: RunDirectory | None, config: Config, tokenizer: Tokenizer, reporter: Reporter) -> Prepared:
    """Examples of both sets, the split written down in `run`, and what became of every record told."""
    reporter.emit(events.Phase(name="tokenise"))
    prepared = prepare(
        settings_of(config.data),
        tokenizer,
        config.train.seed,
        lambda name, done, total: reporter.emit(events.Phase(name="tokenise", done=done, total=total, detail=name)),
    )
    if not prepared.train:
        raise DataError(f"{config.data.path}: no record is left to train on")
    if run is not None:
        prepared.write_split(run.split)
    for code, text in prepared.remarks:
        reporter.warn(code, text)
    reporter.emit(
        events.DataSummary(
            path=config.data.path,
            format=prepared.format,
            records=prepared.records,
            invalid=prepared.invalid,
            train_examples=len(prepared.train),
            eval_examples=len(prepared.eval),
            dropped_over_length=prepared.dropped_over_length,
            with_thinking=prepared.with_thinking,
            without_thinking=prepared.without_thinking,
            train_tokens=int(prepared.train.lengths.sum()),
            supervised_tokens=int(prepared.train.supervised.sum()),
            thinking_style=tokenizer.thinking_style,
        )
    )
    return prepared


def _step_plan(config: Config, prepared: Prepared, resumed: TrainingState | None) -> StepPlan:
    """The steps of the run; of a resumed one with another batch than before, from its place in the data on."""

    def plan(rows: int, origin: Origin) -> StepPlan:
        return StepPlan(
            prepared.train.lengths.tolist(),
            row_length=config.data.max_seq_length,
            packing=config.data.packing,
            rows_per_step=rows,
            num_epochs=config.train.num_epochs,
            max_steps=config.train.max_steps,
            seed=config.train.seed,
            origin=origin,
        )

    rows = config.train.batch_size * config.train.gradient_accumulation_steps
    before = rows_per_step(resumed.fingerprint) if resumed else rows
    steps = plan(before, resumed.origin if resumed else BEGINNING)
    return steps if before == rows else plan(rows, steps.place_after(resumed.step))


def _precision(config: Config, device: torch.device, folder: Path, resumed: TrainingState | None) -> tuple[str, str]:
    """The compute type and why."""
    before = resumed.precision if resumed is not None and resumed.device == device.type else ""
    return choose_precision(config.model.precision, device, model_type(folder), before)


def _plan_event(plan: RunPlan, steps: StepPlan, model: LoadedModel, precision_reason: str, total_parameters: int) -> events.Plan:
    return events.Plan(
        max_steps=steps.max_steps,
        steps_per_epoch=steps.steps_per_epoch,
        device=device_name(model.device),
        precision=model.precision,
        precision_reason=precision_reason,
        gradient_checkpointing=model.recomputed_layers > 0,
        recomputed_layers=model.recomputed_layers,
        offloads_inputs=model.offloads_inputs,
        trainable_parameters=sum(parameter.numel() for parameter in model.trainable().values()),
        total_parameters=total_parameters,
        forecast_peak_gib=plan.peak_memory_gib,
        forecast_low_gib=plan.peak_low_gib,
        forecast_high_gib=plan.peak_high_gib,
        micro_batch=plan.micro_batch,
        time_s=plan.time_s,
        reasons=plan.reasons,
        plain_because=model.plain_because or "",
    )


def _prompts(config: Config, tokenizer: Tokenizer, prepared: Prepared) -> list[tuple[str, list[int]]]:
    if config.sample.prompts:
        return [(text, prompt_ids(tokenizer, text, config.data.system)) for text in config.sample.prompts]
    return [
        (conversation.turns[-1].content, tokenizer.prompt_ids(conversation)) for conversation in prepared.prompts(config.sample.num_prompts)
    ]


def _updater(config: Config, trainable: dict[str, Tensor], precision: str) -> Updater:
    parameters = list(trainable.values())
    optimizer = build_optimizer(trainable, config.train, config.lora.plus_ratio)
    scaler = torch.amp.GradScaler(parameters[0].device.type, enabled=precision == "fp16")
    return Updater(parameters, optimizer, scaler, config.train.max_grad_norm)


def device_name(device: torch.device) -> str:
    """As plans call it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {counted(torch.get_num_threads(), 'thread', 'threads')}"

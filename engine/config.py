"""The one typed schema of a run: it checks files, `--set` and the form alike and gives the form its help.

Every field carries its default, its bounds and one sentence of English help (Chinese: `tui/texts/config.toml`,
same keys). Reading, merging and saving TOML is `engine.config_file`; nothing here touches a file.
"""

import types
from functools import cache
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

REFERENCE_MODEL = "Qwen/Qwen3-4B-Thinking-2507"

Kind = Literal["flag", "choice", "whole", "number", "text", "names", "list"]
"""names: one text or a list of names.  list: a list of texts."""
KINDS: dict[type, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}
BOUNDS = {"lowest": "ge", "highest": "le", "above": "gt", "below": "lt"}
UNIONS = (Union, types.UnionType)


class _Section(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of all sections: unknown keys are errors, values never change after validation."""


Positive = Annotated[int, Meta(ge=1)]


class Model(_Section):
    name: Annotated[
        str,
        Meta(min_length=1, description="Hub name, local folder, .gguf file, or 'demo' for the bundled small model."),
    ] = REFERENCE_MODEL
    revision: Annotated[str, Meta(description="Branch, tag or commit on the hub; empty means the default branch.")] = ""
    source: Annotated[
        Literal["auto", "huggingface", "modelscope", "local"],
        Meta(description="Where to fetch from; auto tries a local folder, the cache, then HF_ENDPOINT, then ModelScope."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "bf16", "fp16", "fp32"],
        Meta(description="Compute type; auto takes what this hardware really does well."),
    ] = "auto"
    quantization: Annotated[
        Literal["none", "nf4", "int8"],
        Meta(description="Store the frozen base weights in 4 or 8 bits (needs bitsandbytes)."),
    ] = "none"


class Data(_Section):
    path: Annotated[
        str,
        Meta(description="Training data, beside the configuration file or in the current folder; 'bundled' is Danlu's own set."),
    ] = ""
    eval_path: Annotated[
        str,
        Meta(description="Evaluation data file; empty means a part is split off the training data."),
    ] = ""
    eval_fraction: Annotated[
        float,
        Meta(ge=0.0, le=0.5, description="Share of the groups split off for evaluation when eval_path is empty."),
    ] = 0.05
    format: Annotated[
        Literal["auto", "alpaca", "sharegpt", "messages", "query_response"],
        Meta(description="Record layout; auto detects it and says what it found."),
    ] = "auto"
    columns: Annotated[
        list[str],
        Meta(description="Fields to be read under other names, such as ['query=提问', 'response=回答']; empty reads them as they are."),
    ] = []
    max_seq_length: Annotated[
        int,
        Meta(ge=16, le=1_048_576, description="Longest example in tokens, prompt included."),
    ] = 1024
    packing: Annotated[bool, Meta(description="Put several examples in one row, each attending only to itself.")] = True
    over_length: Annotated[
        Literal["drop", "truncate_thinking", "fail"],
        Meta(description="What to do with an example longer than max_seq_length; the answer and the end token are never cut."),
    ] = "drop"
    missing_thinking: Annotated[
        Literal["mask", "drop", "keep"],
        Meta(description="Examples without reasoning: mask the empty thinking block, drop them, or train on the empty block."),
    ] = "mask"
    strict: Annotated[
        bool,
        Meta(description="Stop at the first faulty record instead of going on with the valid ones."),
    ] = False
    system: Annotated[str, Meta(description="System prompt for records that carry none.")] = ""
    limit: Annotated[Positive | None, Meta(description="Use only the first so many records; unset means all.")] = None


class Lora(_Section):
    r: Annotated[
        int,
        Meta(ge=1, le=1024, description="Rank of the adapters: more is more capacity and more memory."),
    ] = 16
    alpha: Annotated[float, Meta(gt=0, description="Scale of the adapters; the effective scale is alpha / r.")] = 32.0
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0, description="Dropout before each adapter; 0 is faster.")] = 0.0
    target_modules: Annotated[
        str | list[str],
        Meta(description="'all-linear', or a list of module names such as ['q_proj', 'v_proj']."),
    ] = "all-linear"
    variant: Annotated[
        Literal["lora", "rslora", "dora"],
        Meta(description="lora; rslora scales by alpha / sqrt(r); dora learns magnitudes too (slower)."),
    ] = "lora"
    init: Annotated[
        Literal["default", "pissa", "olora"],
        Meta(description="Adapters begin at nothing (default), or as a part of the base weights: its largest (pissa), or by QR (olora)."),
    ] = "default"
    plus_ratio: Annotated[
        float,
        Meta(ge=1.0, le=1000.0, description="LoRA+: matrix B learns so many times as fast as A (16 is usual); 1 is plain LoRA."),
    ] = 1.0


class Train(_Section):
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="Rows in one micro-batch.")] = 2
    gradient_accumulation_steps: Annotated[
        int,
        Meta(ge=1, le=65536, description="Micro-batches in one optimiser step."),
    ] = 4
    learning_rate: Annotated[float, Meta(gt=0.0, le=1.0, description="Peak learning rate.")] = 2e-4
    num_epochs: Annotated[float, Meta(gt=0.0, le=10_000, description="Passes over the training data.")] = 1.0
    max_steps: Annotated[
        Positive | None,
        Meta(description="Stop after so many optimiser steps; unset means num_epochs decides."),
    ] = None
    scheduler: Annotated[
        Literal["cosine", "linear", "constant", "wsd"],
        Meta(description="Course of the learning rate after warm-up; wsd stays at the peak and falls at the end."),
    ] = "cosine"
    warmup_ratio: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="Share of all steps over which the learning rate rises from 0."),
    ] = 0.03
    decay_ratio: Annotated[
        float,
        Meta(gt=0.0, le=1.0, description="Share of all steps over which the learning rate falls to 0 at the end, with scheduler = wsd."),
    ] = 0.2
    weight_decay: Annotated[float, Meta(ge=0.0, le=1.0, description="Decoupled weight decay.")] = 0.0
    max_grad_norm: Annotated[float, Meta(ge=0.0, description="Clip the gradient to this norm; 0 never clips.")] = 1.0
    optimizer: Annotated[
        Literal["adamw", "adamw_8bit", "schedule_free", "muon"],
        Meta(description="adamw; adamw_8bit (needs bitsandbytes); schedule_free averages and ignores scheduler; muon (half the state)."),
    ] = "adamw"
    neftune_alpha: Annotated[
        float,
        Meta(ge=0.0, le=100.0, description="NEFTune: noise of this strength on the embeddings in training (5 is usual); 0 is none."),
    ] = 0.0
    gradient_checkpointing: Annotated[
        Literal["auto", "on", "offload", "off"],
        Meta(description="Recompute activations in backward; auto: in as many layers as memory asks for; offload: from host memory."),
    ] = "auto"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Seed of order, initialisation and dropout.")] = 42


class Eval(_Section):
    every_steps: Annotated[int, Meta(ge=0, description="Evaluate every so many steps; 0 only at start and end.")] = 50
    at_start: Annotated[bool, Meta(description="Evaluate the base model before the first step.")] = True
    max_examples: Annotated[
        Positive | None,
        Meta(description="Use at most so many evaluation examples; unset means all."),
    ] = None


class Sample(_Section):
    every_steps: Annotated[
        int,
        Meta(ge=0, description="Let the model answer the prompts every so many steps; 0 only at start and end."),
    ] = 50
    prompts: Annotated[
        list[str],
        Meta(description="Fixed prompts; empty takes the first num_prompts evaluation prompts."),
    ] = []
    num_prompts: Annotated[
        int,
        Meta(ge=0, description="How many evaluation prompts to use when prompts is empty; 0 never samples."),
    ] = 2
    max_new_tokens: Annotated[int, Meta(ge=1, le=131_072, description="Thinking budget plus answer, in tokens.")] = 1024
    temperature: Annotated[float, Meta(ge=0.0, le=5.0, description="0 always takes the likeliest token.")] = 0.6
    top_p: Annotated[
        float,
        Meta(gt=0.0, le=1.0, description="Sample from the smallest set with this total probability."),
    ] = 0.95
    top_k: Annotated[int, Meta(ge=0, description="Sample from the k likeliest tokens; 0 means all.")] = 20


class Checkpoint(_Section):
    every_steps: Annotated[int, Meta(ge=0, description="Save every so many steps; 0 only at stop and end.")] = 50
    every_minutes: Annotated[
        float,
        Meta(ge=0.0, description="Save at least every so many minutes; 0 turns it off."),
    ] = 15.0
    keep: Annotated[
        int,
        Meta(
            ge=2,
            le=1000,
            description="Verified checkpoints kept, never fewer than two; the one with the lowest evaluation loss stays besides.",
        ),
    ] = 3


class Parallel(_Section):
    strategy: Annotated[
        Literal["auto", "single", "ddp", "fsdp2"],
        Meta(description="One process, one a GPU (ddp), or weights sharded over the GPUs (fsdp2); auto asks the planner."),
    ] = "auto"
    num_gpus: Annotated[int, Meta(ge=0, le=1024, description="Processes on each machine; 0 lets the planner choose.")] = 0
    num_nodes: Annotated[int, Meta(ge=1, le=1024, description="Machines that train together, each with num_gpus processes.")] = 1


class Track(_Section):
    tensorboard: Annotated[bool, Meta(description="Also write TensorBoard files into the run directory.")] = False


class Run(_Section):
    output_dir: Annotated[str, Meta(min_length=1, description="Folder that holds the run directories.")] = "runs"
    name: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Name of the run directory; empty makes one from preset and time."),
    ] = ""


class Config(_Section):
    """A whole run. `data.path` empty is caught by `engine.config_file`, so that a preset may leave it open."""

    model: Model = Model()
    data: Data = Data()
    lora: Lora = Lora()
    train: Train = Train()
    eval: Eval = Eval()
    sample: Sample = Sample()
    checkpoint: Checkpoint = Checkpoint()
    parallel: Parallel = Parallel()
    track: Track = Track()
    run: Run = Run()


@cache
def fields() -> tuple["FieldInfo", ...]:
    """All keys in schema order."""
    return tuple(
        FieldInfo.of(section.name, field) for section in msgspec.structs.fields(Config) for field in msgspec.structs.fields(section.type)
    )


class FieldInfo(Struct, frozen=True):
    """One key as a form and an error message show it.

    kind: what may be typed.  choices: of a "choice".  lowest, highest: bounds of a number; above: an open lower bound, below: an
    open upper one.  is_optional: may be unset.  default: as the schema has it.
    """

    section: str
    name: str
    kind: Kind
    default: object
    help: str
    choices: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    above: float | None = None
    below: float | None = None
    is_optional: bool = False

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @classmethod
    def of(cls, section: str, field: msgspec.structs.FieldInfo) -> "FieldInfo":
        """The facts of a schema field, read from its annotation."""
        type_, *metas = get_args(field.type)
        parts = get_args(type_) if get_origin(type_) in UNIONS else (type_,)
        is_optional = type(None) in parts
        parts = tuple(part for part in parts if part is not type(None))
        if get_origin(parts[0]) is Annotated:
            metas.extend(get_args(parts[0])[1:])
            parts = (get_args(parts[0])[0],)
        bounds = {ours: next((v for m in metas if (v := getattr(m, theirs)) is not None), None) for ours, theirs in BOUNDS.items()}
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        help_text = next(meta.description for meta in metas if meta.description)
        choices = get_args(parts[0]) if get_origin(parts[0]) is Literal else ()
        return cls(section, field.name, _kind(parts), default, help_text, choices, is_optional=is_optional, **bounds)


def _kind(parts: tuple) -> Kind:
    if len(parts) > 1:
        return "names"
    if get_origin(parts[0]) is Literal:
        return "choice"
    return "list" if get_origin(parts[0]) is list else KINDS[parts[0]]

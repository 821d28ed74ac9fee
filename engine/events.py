"""What the engine says: one frozen type an event, one JSON line each, `seq` and `time` added by the log.

Values are absolute, never deltas, so that replaying a log from its start gives the same screen as watching it live.
A reader keeps events of unknown type as `Unknown`, so old consoles read new logs. Adding an event touches its type
here, its golden line in `tests/golden/events.jsonl`, the fold, a screen and `docs/protocol.md`.
"""

import math
from typing import Any

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=False):
    """seq: 0, 1, 2 … without gaps in one run directory.  time: Unix seconds."""

    seq: int = -1
    time: float = 0.0


class EngineStarted(Event, tag="engine_started"):
    """start_id: new at every start.  resumed_step: last finished step of the checkpoint, 0 for a fresh start."""

    start_id: str
    pid: int
    versions: dict[str, str]
    resumed_step: int = 0


class Phase(Event, tag="phase"):
    """name: import, fetch, load, tokenise, probe, train, evaluate, save or pause; total 0 = unknown length."""

    name: str
    done: int = 0
    total: int = 0
    detail: str = ""


class DataSummary(Event, tag="data_summary"):
    """What became of the records: counts, and token totals of what is trained."""

    path: str
    format: str
    records: int
    invalid: int
    train_examples: int
    eval_examples: int
    dropped_over_length: int
    with_thinking: int
    without_thinking: int
    train_tokens: int
    supervised_tokens: int
    thinking_style: str = ""
    """How reasoning is written for this model: its template's own tags, or plain-text <think> tags."""


class Plan(Event, tag="plan"):
    """How the run will be done, as decided from configuration, data and hardware."""

    max_steps: int
    steps_per_epoch: int
    device: str
    precision: str
    precision_reason: str
    gradient_checkpointing: bool
    trainable_parameters: int
    total_parameters: int
    forecast_peak_gib: float | None = None
    forecast_low_gib: float | None = None
    """Nine runs in ten have their peak between this and forecast_high_gib."""
    forecast_high_gib: float | None = None
    probed_peak_gib: float | None = None
    """Peak as the probe step measured it, with the optimiser's state to come; None in the plan said before the probe."""
    micro_batch: int = 0
    """Rows of a micro-batch, 0 where an older engine did not say."""
    time_s: float | None = None
    """Estimated training time before the first step is measured."""
    reasons: list[str] = []
    recomputed_layers: int = 0
    """Of the first layers, whose activations are computed again in backward; 0 where an older engine did not say."""
    offloads_inputs: bool = False
    """Whether what recomputed layers keep, their inputs, lies in the host's memory; False where an older engine did not say."""
    plain_because: str = ""
    """The setting that keeps the run off the fused layers, as "key = value"; "" on them and where an older engine did not say."""


class Step(Event, tag="step"):
    """One optimiser step. loss: nats per supervised token of the whole step; thinking/answer: per their own tokens,
    None when the step had none.  tokens_per_s: real tokens, padding excluded.  step_s: wall seconds of this step."""

    step: int
    max_steps: int
    epoch: float
    loss: float
    thinking_loss: float | None
    answer_loss: float | None
    learning_rate: float
    grad_norm: float
    tokens_seen: int
    supervised_tokens: int
    tokens_per_s: float
    step_s: float
    peak_memory_gib: float


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU at one moment; None where the driver does not tell."""

    name: str = ""
    vram_used_gib: float
    vram_total_gib: float
    utilisation: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    index: int = -1
    """NVML's number, -1 where an older engine did not say."""
    throttled: tuple[str, ...] = ()
    """Why its clocks are held down, as in `engine.nvidia.THROTTLES`."""


class Hardware(Event, tag="hardware"):
    """Live load of the machine; rss_gib is the engine's own resident memory."""

    gpus: list[Gpu]
    rss_gib: float
    cpu_percent: float
    memory_available_gib: float = 0.0
    memory_total_gib: float = 0.0


class RankLoad(Struct, frozen=True, kw_only=True):
    """One rank of a run of several processes. work_s: its own part of the step, waiting for the others left out.
    peak_memory_gib: allocated on its GPU; gpu: that GPU, None on a CPU."""

    rank: int
    host: str
    work_s: float
    rss_gib: float
    peak_memory_gib: float | None = None
    gpu: Gpu | None = None


class Ranks(Event, tag="ranks"):
    """Load of every rank after `step`, on all machines.  strategy: ddp or fsdp2."""

    step: int
    strategy: str
    ranks: list[RankLoad]


class Eval(Event, tag="eval"):
    """Loss over the evaluation set after `step` steps (0 = base model), token-weighted, nats.

    accuracy: share of the supervised tokens that the model, given all before, finds the likeliest; None in logs of older engines.
    """

    step: int
    loss: float
    thinking_loss: float | None
    answer_loss: float | None
    perplexity: float
    supervised_tokens: int
    examples: int
    seconds: float
    accuracy: float | None = None
    thinking_accuracy: float | None = None
    answer_accuracy: float | None = None


class SampleStarted(Event, tag="sample_started"):
    """id: unique in the run, '{step}-{index}' for scheduled ones."""

    id: str
    prompt: str
    step: int
    max_new_tokens: int = 0


class SampleText(Event, tag="sample_text"):
    """The characters [offset, offset + len(text)) of the sample: replaying one twice changes nothing."""

    id: str
    offset: int
    text: str


class SampleFinished(Event, tag="sample_finished"):
    """thinking/answer apart.  opened: a thinking block was begun (by the prompt or the model).  closed: it was ended.
    well_formed: exactly one thinking block, closed, with a non-empty answer after it.  ended: the end token came."""

    id: str
    step: int
    prompt: str
    thinking: str
    answer: str
    opened: bool
    closed: bool
    well_formed: bool
    ended: bool
    tokens: int
    tokens_per_s: float


class SampleRound(Event, tag="sample_round"):
    """Format compliance over the scheduled samples of one step."""

    step: int
    samples: int
    well_formed: int
    closed: int


class CheckpointSaved(Event, tag="checkpoint_saved"):
    """path: relative to the run directory."""

    step: int
    path: str
    bytes: int


class FinalModelSaved(Event, tag="final_model_saved"):
    """path: relative to the run directory."""

    path: str
    bytes: int


class Warning(Event, tag="warning"):
    """code: stable name that consoles translate; text: the whole sentence in English."""

    code: str
    text: str


class CommandDone(Event, tag="command_done"):
    """The answer to command `id`: every command gets exactly one."""

    id: str
    command: str
    ok: bool
    reason: str = ""


class Paused(Event, tag="paused"):
    """The engine waits (paused true) or goes on (false) before step `step` + 1."""

    paused: bool
    step: int


class EngineStopped(Event, tag="engine_stopped"):
    """reason: finished, stopped, interrupted, failed, or died when its supervisor had to say it; error: one message with its cure.

    cause: of a death, as in `engine.death.Cause`.
    """

    reason: str
    exit_code: int
    step: int = 0
    error: str = ""
    cause: str = ""


class Unknown(Struct, frozen=True):
    """An event written by a newer engine: kept whole, folded into nothing."""

    seq: int
    time: float
    type: str
    fields: dict[str, Any]


KNOWN = (
    EngineStarted | Phase | DataSummary | Plan | Step | Hardware | Ranks | Eval | SampleStarted | SampleText | SampleFinished
    | SampleRound | CheckpointSaved | FinalModelSaved | Warning | CommandDone | Paused | EngineStopped
)  # fmt: skip


class _Envelope(Struct):
    type: str
    seq: int = -1
    time: float = 0.0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(KNOWN)
_envelope = msgspec.json.Decoder(_Envelope)
_types = {member.__struct_config__.tag: member for member in KNOWN.__args__}


def encode(event: Event) -> bytes:
    """One line of UTF-8 JSON, newline included; non-finite floats become null, and a byte of a file name that is no text a "?"."""
    try:
        return _encoder.encode(event) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_without_surrogates(msgspec.to_builtins(event))) + b"\n"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: _without_surrogates(part) for name, part in value.items()}
    return [_without_surrogates(part) for part in value] if isinstance(value, list | tuple) else value


def decode(line: bytes) -> "Event | Unknown | None":
    """The event of one line; `Unknown` for a type this version does not know; None for a line that is no event."""
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return _decode_foreign(line)


def _decode_foreign(line: bytes) -> Event | Unknown | None:
    try:
        head, fields = _envelope.decode(line), msgspec.json.decode(line)
    except msgspec.MsgspecError:
        return None
    return _with_not_a_number(head.type, fields) or Unknown(head.seq, head.time, head.type, fields)


def _with_not_a_number(tag: str, fields: dict[str, Any]) -> Event | None:
    """The event whose numbers that are not finite were written as null, None where that is not what is wrong with it."""
    kind = _types.get(tag)
    if kind is None:
        return None
    numbers = {field.name for field in msgspec.structs.fields(kind) if field.type is float}
    try:
        return msgspec.convert({name: math.nan if value is None and name in numbers else value for name, value in fields.items()}, kind)
    except msgspec.MsgspecError:
        return None

"""Peak memory of a LoRA run, component by component, before anything is loaded.

Follows what the engine really does: frozen base weights, fp32 adapters with gradients and AdamW, one flat row of tokens a
micro-batch, head and loss in chunks of supervised rows, checkpointing of so many layers, and samples with a cache between the steps.
Not here: what one layer holds (`engine.activations`), how sure the figure is (`engine.certainty`), what to do about it (`engine.plan`).
"""

from dataclasses import dataclass

from engine.activations import BYTES, backward_bytes, base_type, feed_width, kept_bytes, runs_fused
from engine.config import Config
from engine.model_shape import ModelShape

GIB = 2**30
CHUNK_BYTES = 128 << 20
CPU_CHUNK_BYTES = 16 << 20
"""fp32 logits at a time, as in `engine.loss` (a test holds them equal; that module needs torch)."""
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
"""A 4-bit weight, its block's 8-bit scale, and the second quantisation's fp32 scale."""
CUDA_RUNTIME_GIB = 0.73
"""CUDA context and loaded kernels, which PyTorch's allocator knows nothing of: on an H100 with CUDA 13; smaller cards have less."""
WORKSPACES_GIB = 0.06
"""cuBLAS's, from the allocator, of the two threads that go forwards and backwards."""
CPU_RUNTIME_GIB = 0.48
"""Resident memory of the engine with torch, transformers and peft imported; no model."""
GPU_SLACK_GIB = 0.1
"""What PyTorch's allocator rounds up or cannot join, with expandable segments: 0.02 to 0.29, and no share of anything (docs/log.md)."""
HEAP_KEEPS_FUSED = 0.08
"""Share of kept activations that glibc's heap holds on top on the fused path, which allocates alike in every layer."""
HEAP_KEEPS = 0.5
"""Share of all layers' activations that it holds on top on the plain path, with checkpointing too (tests/bench/forecast.py)."""
HEAP_KEEPS_SHARDED = 0.25
"""The same of kept activations alone where blocks from 1 MiB on are given back (`engine.rank_launcher`): at some 500 tokens about half of
a layer's are smaller."""
WIDENING_GIB = 0.03
"""What stays in the heap of a base that is widened a piece at a time."""
BF16_BUFFERS_GIB = 0.08
"""What products in bf16 keep on a CPU for weights and inputs in another order; the same in three runs of two models."""
HEAP_BYTES = 32 << 20
"""glibc gives larger blocks back to the system as soon as they are freed."""
OPTIMIZER_BYTES = {"adamw": 8, "adamw_8bit": 2, "schedule_free": 12, "muon": 4}
"""What an optimiser keeps for a trained weight: two moments, in 8 bits, two points and a moment, momentum alone."""
STACKED = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
"""Linears that share an input with others and become one on the fused path."""
INPUTS_AT_WORK = 2
"""A layer's input that is on its way to or from the host, and its output or that one's gradient."""
UNSHARDED_LAYERS = 2
"""FSDP2 holds the layer at work whole, and the next one that it fetches meanwhile."""
SIDE_BY_SIDE = 8
"""Samples that are generated at once, at most: more are hard to watch."""


@dataclass(frozen=True)
class Workload:
    """What decides the memory of one process. tokens: of one micro-batch.  recomputed_layers: whose activations are computed again in
    backward.  offloads_inputs: what these keep lies in the host's memory.  chunk_bytes: fp32 logits of one chunk.
    generated: tokens of the longest sample with its prompt, 0 without samples.
    shards: processes over which the layers' weights are spread (FSDP2).  pieces: over which each row is (context parallel).
    offload: weights stay in host memory and come layer by layer.  init: of the adapters; what they begin with, where
    that is a part of the base, is kept in the host's memory."""

    tokens: int
    precision: str
    recomputed_layers: int
    on_gpu: bool
    quantization: str = "none"
    r: int = 16
    target_modules: str | list[str] = "all-linear"
    dropout: float = 0.0
    variant: str = "lora"
    optimizer: str = "adamw"
    chunk_bytes: int = CHUNK_BYTES
    generated: int = 0
    shards: int = 1
    pieces: int = 1
    offload: bool = False
    offloads_inputs: bool = False
    init: str = "default"

    @property
    def local_tokens(self) -> int:
        """Tokens of a micro-batch that one process works on."""
        return -(-self.tokens // self.pieces)


@dataclass(frozen=True)
class Forecast:
    """GiB by component. layer, loss, generation: the three moments that may be the largest; they never exist together, so only
    `moment`, the one that decides, is part of the peak, beside what lives through it. slack: what the allocator holds on top."""

    weights: float
    adapters: float
    gradients: float
    optimizer: float
    activations: float
    layer: float
    loss: float
    generation: float
    runtime: float
    slack: float

    @property
    def moment(self) -> str:
        """The moment of the peak: layer, loss or generation."""
        if self.generation > self._training:
            return "generation"
        return "layer" if self.layer >= self.loss else "loss"

    @property
    def samples_at_once(self) -> int:
        """So many are generated side by side as take no more memory than training does, at least one."""
        return min(SIDE_BY_SIDE, max(1, int(self._training / self.generation))) if self.generation else 1

    @property
    def _training(self) -> float:
        """What is given back before samples are generated."""
        return self.gradients + self.activations + max(self.layer, self.loss)

    @property
    def components(self) -> dict[str, float]:
        """In the order they are told; they add up to the peak."""
        moment = self.moment
        kept = {} if moment == "generation" else {"gradients": self.gradients, "activations": self.activations}
        return {
            "weights": self.weights, "adapters": self.adapters, "optimizer": self.optimizer, **kept,
            moment: getattr(self, moment), "runtime": self.runtime, "slack": self.slack,
        }  # fmt: skip

    @property
    def peak(self) -> float:
        return sum(self.components.values())


def workload(config: Config, precision: str, on_gpu: bool, recomputed_layers: int) -> Workload:
    """The part of `config` that memory depends on, for micro-batches of batch_size full rows."""
    samples = config.sample.num_prompts or config.sample.prompts
    return Workload(
        tokens=config.train.batch_size * config.data.max_seq_length, precision=precision, recomputed_layers=recomputed_layers,
        on_gpu=on_gpu, quantization=config.model.quantization, r=config.lora.r, target_modules=config.lora.target_modules,
        dropout=config.lora.dropout, variant=config.lora.variant, optimizer=config.train.optimizer,
        init=config.lora.init,
        generated=config.sample.max_new_tokens + config.data.max_seq_length // 4 if samples else 0,
    )  # fmt: skip


def forecast(shape: ModelShape, work: Workload) -> Forecast:
    """Memory of one process at its peak."""
    fused = runs_fused(shape, work.variant, work.shards > 1)
    kept = kept_bytes(shape, work.precision, work.r, work.target_modules, work.dropout, work.on_gpu, fused, work.variant)
    tokens, trained = work.local_tokens, shape.adapter_parameters(work.r, work.target_modules)
    again = min(work.recomputed_layers, shape.num_layers)
    inputs = min(again, INPUTS_AT_WORK) if work.offloads_inputs else again
    activations = tokens * (inputs * BYTES[work.precision] * shape.hidden_size + (shape.num_layers - again) * kept)
    # Layers that keep their activations come first in backward, and have given them back when the others are computed again.
    layer = tokens * (backward_bytes(shape, work.precision, fused) + (kept if again == shape.num_layers else 0))
    layer += unpacked_bytes(shape, work, fused) + unsharded_bytes(shape, work)
    loss, generation = loss_bytes(shape, work), generation_bytes(shape, work)
    return Forecast(
        weights=(weight_bytes(shape, work) + mapped_bytes(shape, work, fused)) / GIB,
        adapters=4 * trained * (2 if work.init != "default" and not work.on_gpu else 1) / GIB,
        gradients=4 * trained / GIB,
        optimizer=OPTIMIZER_BYTES[work.optimizer] * trained / GIB,
        activations=activations / GIB,
        layer=layer / GIB,
        loss=loss / GIB,
        generation=generation / GIB,
        runtime=_runtime_gib(shape, work),
        slack=_slack(shape, work, fused, kept, activations) / GIB,
    )


def _runtime_gib(shape: ModelShape, work: Workload) -> float:
    """What the libraries hold, and what products keep or leave behind."""
    if work.on_gpu:
        return CUDA_RUNTIME_GIB + WORKSPACES_GIB
    if work.precision == "bf16":
        return CPU_RUNTIME_GIB + BF16_BUFFERS_GIB
    return CPU_RUNTIME_GIB + (WIDENING_GIB if _held(shape, work) != work.precision else 0.0)


def weight_bytes(shape: ModelShape, work: Workload) -> float:
    """Base weights this process holds through a step; quantised linear layers beside embedding, head and norms in the compute type.

    Shards are of the layers alone: every process holds embedding and head whole, as `engine.sharding` says.
    """
    held = _held(shape, work)
    whole = shape.embedding_parameters * BYTES[held]
    if work.offload:
        return whole
    return whole + (base_bytes(shape, held, work.quantization) - whole) / work.shards


def _held(shape: ModelShape, work: Workload) -> str:
    """The type in which base weights are held."""
    return base_type(shape, work.precision, work.quantization, work.variant, work.init, work.shards > 1)


def mapped_bytes(shape: ModelShape, work: Workload, fused: bool) -> float:
    """Weights of which a copy is made while they stay mapped from their file as well, on a CPU where no type had to change: those that
    the fused path stacks, or a rank's share."""
    held = _held(shape, work)
    if work.on_gpu or work.quantization != "none" or not held == work.precision == shape.published:
        return 0.0
    if work.shards > 1:
        return weight_bytes(shape, work) - shape.embedding_parameters * BYTES[held]
    stacked = sum(linear.weights for linear in shape.linears if linear.name in STACKED)
    return shape.num_layers * stacked * BYTES[held] if fused else 0.0


def base_bytes(shape: ModelShape, precision: str, quantization: str) -> float:
    """All base weights."""
    if quantization == "none":
        return shape.parameters * BYTES[precision]
    bits = NF4_BITS if quantization == "nf4" else 8 + 32 / shape.hidden_size
    quantised = shape.quantizable_weights
    return quantised * bits / 8 + (shape.parameters - quantised) * BYTES[precision]


def unpacked_bytes(shape: ModelShape, work: Workload, fused: bool) -> float:
    """Quantised weights that are unpacked at a time, in the compute type: of one linear layer on the plain path; on the fused one gate's
    and up's in one piece, and the one that is on its way there."""
    if work.quantization == "none":
        return 0.0
    widest = max((linear.inputs * linear.outputs for linear in shape.linears), default=0)
    return (3 if fused else 1) * widest * BYTES[work.precision]


def unsharded_bytes(shape: ModelShape, work: Workload) -> float:
    """Weights that are whole for a moment where they are sharded or come from host memory: two layers."""
    if work.shards == 1 and not work.offload:
        return 0.0
    return UNSHARDED_LAYERS * shape.layer_parameters * BYTES[work.precision]


def loss_bytes(shape: ModelShape, work: Workload) -> float:
    """A part of the logits of all supervised rows, which become probabilities in place, and the rows themselves: states and their gradient
    in the compute type, the gradient so far and the targets' rows of the head in fp32."""
    tokens, hidden = work.local_tokens, shape.hidden_size
    chunk = work.chunk_bytes if work.on_gpu else min(work.chunk_bytes, CPU_CHUNK_BYTES)
    columns = min(shape.vocab_size, max(1, chunk // (4 * max(tokens, hidden))))
    return tokens * (columns * logit_bytes(work.precision) + hidden * (2 * BYTES[work.precision] + 2 * 4))


def logit_bytes(precision: str) -> int:
    """Bytes that exist of one logit at the widest moment of the loss: one fp32 buffer, and the compute type's beside it."""
    wide = BYTES[precision]
    return 4 + (wide if wide < 4 else 0)


def generation_bytes(shape: ModelShape, work: Workload) -> float:
    """Keys and values of every layer for the longest sample, and the logits of one token."""
    wide = BYTES[work.precision]
    cache = 2 * shape.num_layers * shape.num_kv_heads * shape.head_dim * wide
    prompt = work.generated * (4 * feed_width(shape) + 8 * shape.hidden_size) * wide / 4
    return work.generated * cache + prompt + shape.vocab_size * 8 if work.generated else 0.0


def _slack(shape: ModelShape, work: Workload, fused: bool, kept: float, activations: float) -> float:
    """What the allocator holds on top; on a CPU, where weights are shared, also what a rank read of those that others hold."""
    if work.on_gpu:
        return GPU_SLACK_GIB * GIB
    if fused:
        return HEAP_KEEPS_FUSED * activations
    if work.shards > 1:
        return HEAP_KEEPS_SHARDED * activations + base_bytes(shape, work.precision, work.quantization) - weight_bytes(shape, work)
    return heap_bytes(shape, work, kept)


def heap_bytes(shape: ModelShape, work: Workload, kept: float) -> float:
    """Freed activations that stay with the process on a CPU."""
    widest = feed_width(shape) * BYTES[work.precision]
    given_back = 4 * widest if work.tokens * widest >= HEAP_BYTES else 0
    return HEAP_KEEPS * shape.num_layers * work.local_tokens * max(0.0, kept - given_back)

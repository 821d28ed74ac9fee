"""Peak memory of a LoRA run, component by component, before anything is loaded.

Follows what the engine really does: frozen base weights, fp32 adapters with gradients and AdamW, one flat row of
batch_size × max_seq_length tokens a micro-batch, head and loss in chunks of supervised rows, checkpointing per layer.
Not here: what is available and what to do about it (`engine.plan`).
"""

from dataclasses import dataclass

from engine.config import Config
from engine.model_shape import ModelShape

GIB = 2**30
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
CHUNK_BYTES = 128 << 20
"""fp32 logits of one chunk, as `engine.loss.CHUNK_BYTES` (a test holds them equal; that module needs torch)."""
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
"""A 4-bit weight, its block's 8-bit scale, and the second quantisation's fp32 scale."""
CUDA_RUNTIME_GIB = 0.5
"""CUDA context and cuBLAS workspaces: 0.4-0.6 measured."""
CPU_RUNTIME_GIB = 0.6
"""Resident memory of the engine with torch, transformers and peft imported, and its threads' buffers; no model."""
HEAP_KEEPS = 0.65
"""Share of all layers' activations that glibc's heap holds on top, with checkpointing too: 0.58-0.78 measured at 1024 and 2048
tokens of SmolLM2-135M (peaks of 2.4-6.2 GiB); an extrapolation for other models. MALLOC_MMAP_THRESHOLD_=2097152 would give it
back (peak -35 %) for 15-25 % more CPU time, both measured on 6 layers."""
HEAP_BYTES = 32 << 20
"""glibc gives larger blocks back to the system as soon as they are freed."""


@dataclass(frozen=True)
class Workload:
    """What decides the memory of a run. tokens: of one micro-batch."""

    tokens: int
    precision: str
    gradient_checkpointing: bool
    on_gpu: bool
    quantization: str = "none"
    r: int = 16
    target_modules: str | list[str] = "all-linear"
    dropout: float = 0.0
    optimizer: str = "adamw"


@dataclass(frozen=True)
class Forecast:
    """GiB by component. working: the larger of one layer's recomputation and backward, and one chunk of logits with its gradient
    (they never exist together), and on a CPU what the heap does not give back."""

    weights: float
    adapters: float
    activations: float
    working: float
    runtime: float

    @property
    def components(self) -> dict[str, float]:
        """In the order they are told; they add up to the peak."""
        return {
            "weights": self.weights, "adapters": self.adapters, "activations": self.activations,
            "working": self.working, "runtime": self.runtime,
        }  # fmt: skip

    @property
    def peak(self) -> float:
        return sum(self.components.values())


def workload(config: Config, precision: str, on_gpu: bool, gradient_checkpointing: bool) -> Workload:
    """The part of `config` that memory depends on."""
    return Workload(
        tokens=config.train.batch_size * config.data.max_seq_length, precision=precision, gradient_checkpointing=gradient_checkpointing,
        on_gpu=on_gpu, quantization=config.model.quantization, r=config.lora.r, target_modules=config.lora.target_modules,
        dropout=config.lora.dropout, optimizer=config.train.optimizer,
    )  # fmt: skip


def forecast(shape: ModelShape, work: Workload) -> Forecast:
    """Memory at the peak of a training step."""
    saved = saved_bytes_per_token(shape, work)
    kept = BYTES[work.precision] * shape.hidden_size if work.gradient_checkpointing else saved
    layer = work.tokens * (backward_bytes_per_token(shape, work) + (saved if work.gradient_checkpointing else 0))
    layer += unpacked_bytes(shape, work)
    return Forecast(
        weights=weight_bytes(shape, work) / GIB,
        adapters=adapter_bytes(shape, work) / GIB,
        activations=shape.num_layers * work.tokens * kept / GIB,
        working=(max(layer, loss_bytes(shape, work)) + heap_bytes(shape, work)) / GIB,
        runtime=CUDA_RUNTIME_GIB if work.on_gpu else CPU_RUNTIME_GIB,
    )


def weight_bytes(shape: ModelShape, work: Workload) -> float:
    """Base weights; quantised linear layers beside embedding, head and norms in the compute type."""
    if work.quantization == "none":
        return shape.parameters * BYTES[work.precision]
    bits = NF4_BITS if work.quantization == "nf4" else 8 + 32 / shape.hidden_size
    quantised = shape.quantizable_weights
    return quantised * bits / 8 + (shape.parameters - quantised) * BYTES[work.precision]


def unpacked_bytes(shape: ModelShape, work: Workload) -> float:
    """The one linear layer whose quantised weights are unpacked at a time, in the compute type."""
    if work.quantization == "none":
        return 0.0
    return max((linear.inputs * linear.outputs for linear in shape.linears), default=0) * BYTES[work.precision]


def adapter_bytes(shape: ModelShape, work: Workload) -> float:
    """fp32 adapters, their gradients and the optimiser's two moments."""
    moments = 2 * (1 if work.optimizer == "adamw_8bit" else 4)
    return shape.adapter_parameters(work.r, work.target_modules) * (4 + 4 + moments)


def saved_bytes_per_token(shape: ModelShape, work: Workload) -> float:
    """What one decoder layer keeps of a token for its backward."""
    wide, hidden = BYTES[work.precision], shape.hidden_size
    query, key, feed = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim, _feed_width(shape)
    norms = 2 * hidden * 4 + ((query + key) * 4 if shape.has_qk_norm else 0)
    inputs = 2 * hidden * wide
    attention = (3 * query + 2 * (key if work.on_gpu else query)) * wide
    feed_forward = 4 * feed * wide
    lora = sum(linear.count * work.r * wide for linear in shape.targets(work.target_modules))
    return norms + inputs + attention + feed_forward + lora + _dropout_bytes(shape, work)


def backward_bytes_per_token(shape: ModelShape, work: Workload) -> float:
    """Gradients in flight at the widest point of a layer's backward: three of the feed-forward's width, and of the hidden width
    the residual's, the base's, the adapter's and their sum."""
    return (3 * _feed_width(shape) + 4 * shape.hidden_size) * BYTES[work.precision]


def loss_bytes(shape: ModelShape, work: Workload) -> float:
    """One chunk: logits in the compute type and in fp32, their log-softmax, and the gradient in both types."""
    rows = min(work.tokens, max(1, CHUNK_BYTES // (4 * shape.vocab_size)))
    wide = BYTES[work.precision]
    each = 3 * 4 + (2 * wide if wide < 4 else 0)
    return rows * shape.vocab_size * each + 2 * work.tokens * shape.hidden_size * wide


def heap_bytes(shape: ModelShape, work: Workload) -> float:
    """Freed activations that stay with the process on a CPU."""
    if work.on_gpu:
        return 0.0
    widest = _feed_width(shape) * BYTES[work.precision]
    given_back = 4 * widest if work.tokens * widest >= HEAP_BYTES else 0
    return HEAP_KEEPS * shape.num_layers * work.tokens * (saved_bytes_per_token(shape, work) - given_back)


def _dropout_bytes(shape: ModelShape, work: Workload) -> float:
    """peft drops out each adapter's input on its own: a copy and a one-byte mask for every target."""
    if work.dropout == 0:
        return 0.0
    return sum(linear.count * linear.inputs * (BYTES[work.precision] + 1) for linear in shape.targets(work.target_modules))


def _feed_width(shape: ModelShape) -> int:
    return max((linear.inputs for linear in shape.linears if linear.name == "down_proj"), default=shape.intermediate_size)

"""How fast a run will be, before it starts: an estimate from the arithmetic a token costs and the rate of the hardware.

Says None rather than guess: no rate without a measured CPU or a tabulated GPU. The live screen measures; nothing here does.
"""

import math

from engine.config import Config
from engine.hardware import Machine
from engine.model_shape import ModelShape

TENSOR_TFLOPS = {
    "B200": 2250, "H200": 989, "H100": 989, "H800": 989, "H20": 148, "A100": 312, "A800": 312, "A30": 165, "A40": 150, "A10G": 70,
    "A10": 125, "L40S": 362, "L40": 181, "L20": 119, "L4": 121, "RTX 6000 Ada": 364, "A6000": 155, "RTX 5090": 209, "RTX 5080": 113,
    "RTX 4090": 165, "RTX 4080": 98, "RTX 4070": 59, "RTX 4060": 30, "RTX 3090": 71, "RTX 3080": 60, "RTX 3060": 26, "V100": 112,
    "T4": 65, "RTX 2080 Ti": 54,
}  # fmt: skip
"""Dense 16-bit tensor rates with fp32 accumulation from the vendor's data sheets, by a part of the GPU's name."""
GPU_EFFICIENCY = 0.35
"""Share of the tabulated rate that LoRA training of a model of some billions of parameters reaches."""
CPU_EFFICIENCY = 0.5
"""Share of the measured GEMM rate: 136 tokens/s of SmolLM2-135M at 0.59 GFLOP a token where GEMM gave about 150 GFLOP/s."""
NF4_SLOWDOWN = 1.35
FILL = 0.9
"""Share of a packed row that is real tokens."""
SUPERVISED = 0.7
"""Share of the tokens that go through the output head."""


def tokens_per_s(config: Config, shape: ModelShape, machine: Machine, precision: str, gradient_checkpointing: bool) -> float | None:
    """Real tokens a second of training; None when the hardware's rate is unknown."""
    rate = _rate(machine, precision)
    if rate is None:
        return None
    slowdown = NF4_SLOWDOWN if config.model.quantization != "none" else 1.0
    return rate / flops_per_token(shape, config, gradient_checkpointing) / slowdown


def flops_per_token(shape: ModelShape, config: Config, gradient_checkpointing: bool) -> float:
    """Forward and the gradient of the activations; frozen weights need none of their own."""
    adapters = shape.adapter_parameters(config.lora.r, config.lora.target_modules)
    layers = shape.num_layers * shape.layer_parameters
    attention = 2 * shape.num_layers * shape.num_heads * shape.head_dim * config.data.max_seq_length / 2
    head = 4 * SUPERVISED * shape.vocab_size * shape.hidden_size
    return (6 if gradient_checkpointing else 4) * (layers + attention) + 6 * adapters + head


def seconds(config: Config, tokens: int | None, rate: float | None) -> float | None:
    """Training time; None when the amount of data or the rate is unknown.  tokens: real tokens of one epoch."""
    if rate is None:
        return None
    rows = config.train.batch_size * config.train.gradient_accumulation_steps
    step_tokens = rows * config.data.max_seq_length * FILL
    if config.train.max_steps is not None and tokens is None:
        return config.train.max_steps * step_tokens / rate
    if tokens is None:
        return None
    whole = tokens * config.train.num_epochs
    if config.train.max_steps is not None:
        whole = min(tokens, step_tokens) * config.train.max_steps
    return math.ceil(whole) / rate


def _rate(machine: Machine, precision: str) -> float | None:
    """FLOP/s this run will really reach."""
    gpu = machine.training_gpu
    if gpu is None:
        return machine.gemm_gflops and machine.gemm_gflops * 1e9 * CPU_EFFICIENCY
    if precision == "fp32":
        return None
    known = next((rate for name, rate in TENSOR_TFLOPS.items() if name.lower() in gpu.name.lower()), None)
    return known and known * 1e12 * GPU_EFFICIENCY

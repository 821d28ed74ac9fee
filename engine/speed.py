"""How fast a run will be, before it starts: an estimate from the arithmetic a token costs and the rate of the hardware.

Says None rather than guess: no rate without a measured CPU or a known GPU. The live screen measures; nothing here does.
Not here: what processes send each other (`engine.strategy`).
"""

import math
from typing import NamedTuple

from engine.config import Config
from engine.gpu_facts import facts_of, tflops
from engine.hardware import Machine
from engine.model_shape import ModelShape
from engine.nvidia import Gpu

GPU_EFFICIENCY = 0.35
"""Share of the data sheet's rate that LoRA training of a model of some billions of parameters reaches."""
GPU_CEILING_TFLOPS = 200
"""What an H100 reached (docs/log.md): on a card so fast, launches and what lies between the products decide."""
FP32_EFFICIENCY = 0.6
"""The same without tensor units, which are easier to keep busy."""
CPU_EFFICIENCY = 0.5
"""Share of the measured GEMM rate: 136 tokens/s of SmolLM2-135M at 0.59 GFLOP a token where GEMM gave about 150 GFLOP/s."""
CPU_EFFICIENCY_16 = 0.4
"""Of the rate measured in 16 bits: up to 308 tokens/s of the demo at 0.55 GFLOP a token where bf16 products gave 413 GFLOP/s."""
NF4_SLOWDOWN = 1.55
LAUNCHES_S = 1.6e-3
"""A layer of one generated token on a GPU: 17 tokens/s of 36 layers, bound by launches (docs/log.md)."""
CPU_BANDWIDTH = 6e9
"""Bytes a second of weights that a generated token reads: 11 tokens/s of 0.54 GB on two cores (docs/log.md)."""
FILL = 0.9
"""Share of a packed row that is real tokens."""
SUPERVISED = 0.7
"""Share of the tokens that go through the output head."""


def flops_per_token(shape: ModelShape, config: Config, recomputed_layers: int) -> float:
    """Forward and the gradient of the activations; frozen weights need none of their own."""
    adapters = shape.adapter_parameters(config.lora.r, config.lora.target_modules)
    layers = shape.num_layers * shape.layer_parameters
    attention = 2 * shape.num_layers * shape.num_heads * shape.head_dim * config.data.max_seq_length / 2
    head = 4 * SUPERVISED * shape.vocab_size * shape.hidden_size
    return (4 + 2 * recomputed_layers / shape.num_layers) * (layers + attention) + 6 * adapters + head


def gpu_rate(gpu: Gpu, precision: str) -> float | None:
    """FLOP/s a GPU will really reach; None for a card without a known data sheet."""
    rate = tflops(gpu.name, precision)
    return rate and min(rate * (FP32_EFFICIENCY if precision == "fp32" else GPU_EFFICIENCY), GPU_CEILING_TFLOPS) * 1e12


def cpu_rate(machine: Machine, precision: str) -> float | None:
    """FLOP/s a run on the CPU will reach: from the benchmark in that precision, else from the fp32 rate just measured, else None."""
    if precision != "fp32" and (rate := machine.gflops.get(precision)):
        return rate * 1e9 * CPU_EFFICIENCY_16
    rate = machine.gflops.get("fp32") or machine.gemm_gflops
    return rate and rate * 1e9 * CPU_EFFICIENCY


def row_s(config: Config, shape: ModelShape, rate: float | None, quantization: str, recomputed_layers: int) -> float | None:
    """Seconds of computing one full row forth and back."""
    if rate is None:
        return None
    slowdown = NF4_SLOWDOWN if quantization != "none" else 1.0
    return row_tokens(config) * flops_per_token(shape, config, recomputed_layers) * slowdown / rate


def row_tokens(config: Config) -> float:
    """Real tokens of a row, on average."""
    return config.data.max_seq_length * FILL


def rows_of_a_step(config: Config) -> int:
    """The effective batch."""
    return config.train.batch_size * config.train.gradient_accumulation_steps


def num_steps(config: Config, tokens: int | None) -> int | None:
    """Optimiser steps of the run; None when the amount of data is unknown.  tokens: real tokens of one epoch."""
    if config.train.max_steps is not None:
        return config.train.max_steps
    if tokens is None:
        return None
    return max(1, math.ceil(tokens * config.train.num_epochs / (rows_of_a_step(config) * row_tokens(config))))


class Duration(NamedTuple):
    """Seconds of a run: of its steps, of its evaluations, and of its samples where each takes all the tokens it may."""

    steps: float
    evaluations: float
    samples: float


def duration(
    config: Config, tokens: int | None, tokens_per_s: float | None, recomputed_layers: int, num_layers: int, sample_s: float
) -> Duration | None:
    """Of the whole run; None when the amount of data or the rate is unknown.  tokens: real tokens of one epoch.  tokens_per_s: in training.
    sample_s: of one round of samples."""
    steps = num_steps(config, tokens)
    if tokens_per_s is None or steps is None:
        return None
    whole = steps * rows_of_a_step(config) * row_tokens(config)
    evaluated = 0.0
    if tokens is not None:
        known = tokens * config.train.num_epochs
        whole = known if config.train.max_steps is None else min(whole, steps * tokens)
        evaluated = tokens * config.data.eval_fraction / (1 - config.data.eval_fraction) if not config.data.eval_path else 0.0
    if config.eval.max_examples is not None:
        evaluated = min(evaluated, config.eval.max_examples * config.data.max_seq_length)
    forward = 2 / (4 + 2 * recomputed_layers / num_layers)
    return Duration(
        math.ceil(whole) / tokens_per_s,
        (_rounds(steps, config.eval.every_steps) + config.eval.at_start) * evaluated * forward / tokens_per_s,
        (_rounds(steps, config.sample.every_steps) + 1) * sample_s,
    )


def sample_round_s(config: Config, shape: ModelShape, gpu: Gpu | None, weights_bytes: float, at_once: int) -> float:
    """Seconds of one round of samples, so many `at_once`, where each takes all the tokens it may.  weights_bytes: that a token reads."""
    prompts = len(config.sample.prompts) or config.sample.num_prompts
    facts = gpu and facts_of(gpu.name)
    token_s = weights_bytes / (facts.bandwidth_gbs * 1e9 if facts else CPU_BANDWIDTH)
    if gpu is not None:
        token_s = max(token_s, shape.num_layers * LAUNCHES_S)
    return math.ceil(prompts / at_once) * config.sample.max_new_tokens * token_s


def _rounds(steps: int, every_steps: int) -> int:
    """After every so many steps, and at the end."""
    return 1 + ((steps - 1) // every_steps if every_steps else 0)

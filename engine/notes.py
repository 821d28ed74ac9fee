"""What a plan says about itself: one sentence a decision, with a stable code that consoles translate.

The sentences stand here together so that they read alike; when each applies is decided in `engine.plan` and `engine.cures`.
"""

from typing import Any

from msgspec import Struct

SENTENCES = {
    "precision_configured": "{precision}, as configured",
    "precision_measured": "{precision}: what this hardware does best, as measured at the start",
    "precision_gpu_bf16": "bf16: {gpu} has bf16 units",
    "precision_gpu_fp32": "fp32: {gpu} has no bf16 units and {model_type} models overflow in fp16",
    "precision_gpu_fp16": "fp16 with loss scaling: {gpu} has no bf16 units",
    "precision_cpu_bf16": "bf16: this CPU has bf16 units; the engine measures both once more before it starts",
    "precision_cpu_fp32": "fp32: this CPU has no bf16 units and would only emulate it, slowly",
    "checkpointing_configured": "gradient checkpointing {asked}, as configured",
    "checkpointing_not_needed": "gradient checkpointing off: it fits without ({without_gib:.1f} of {available_gib:.1f} GiB), faster so",
    "checkpointing_needed": "gradient checkpointing on: {without_gib:.1f} GiB would be needed without, {available_gib:.1f} are there",
    "fits": "it fits: {peak_gib:.1f} GiB forecast, {available_gib:.1f} GiB available",
    "does_not_fit": "it does not fit: {peak_gib:.1f} GiB forecast and 5 % to spare, {available_gib:.1f} GiB available",
    "gpu_busy": "{taken_gib:.1f} GiB of {gpu} are taken by other programs",
    "cure_checkpointing": "cure: train.gradient_checkpointing = 'auto' makes it fit, at about a third more time a step",
    "cure_micro_batch": "cure: train.batch_size = {batch_size} with train.gradient_accumulation_steps = {accumulation} makes it fit;"
                        " same result, a little slower",
    "cure_nf4": "cure: model.quantization = 'nf4' (frozen weights in 4 bits) with batch_size = {batch_size} and"
                " gradient_accumulation_steps = {accumulation} makes it fit",
    "cure_length": "cure: data.max_seq_length = {max_seq_length} with nf4 and batch_size = 1 makes it fit; longer examples are left out",
    "cure_smaller_model": "no change of settings makes it fit: choose a smaller model, or a machine with more memory",
    "strategy_gpu": "on one GPU: {gpu}",
    "strategy_cpu": "on the CPU: no NVIDIA GPU can be used here",
    "strategy_no_cuda": "on the CPU: the installed PyTorch cannot use {gpu}; `danlu doctor` says how to change that",
    "strategy_hidden": "on the CPU: CUDA_VISIBLE_DEVICES hides {gpu}",
    "strategy_data_parallel": "{gpus} GPUs: one process on each (DDP) would be about {gpus} times as fast;"
                              " not yet driven by Danlu, a later version",
    "strategy_sharded": "{gpus} GPUs with NVLink: sharding the weights over them (FSDP2) would fit more;"
                        " not yet driven by Danlu, a later version",
    "strategy_nf4_first": "{gpus} GPUs without NVLink: nf4 on one of them is better than weights sharded over slow links",
    "time_estimate": "time is an estimate: about {tokens_per_s:.0f} tokens/s from this hardware's arithmetic rate",
    "time_unknown_rate": "no time estimate: the speed of this hardware is not known before it is measured",
}  # fmt: skip


class Note(Struct, frozen=True):
    """One decision and why. code: a key of SENTENCES.  values: what its sentence tells."""

    code: str
    values: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The sentence in English."""
        return SENTENCES[self.code].format(**self.values)


def note(code: str, **values: Any) -> Note:
    """A note; `code` must be known and `values` complete."""
    return Note(code, values)

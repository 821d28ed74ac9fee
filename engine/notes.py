"""What a plan says about itself: one sentence a decision, with a stable code that consoles translate.

The sentences stand here together so that they read alike; when each applies is decided in `engine.plan`, `engine.strategy` and
`engine.cures`.
"""

from typing import Any

from msgspec import Struct

SENTENCES = {
    "precision_configured": "{precision}, as configured",
    "precision_refused_bf16": "cannot start: {gpu} has no bf16 units; set model.precision = 'auto'",
    "precision_refused_fp16": "cannot start: {model_type} models overflow in fp16 and give NaN; set model.precision = 'auto'",
    "precision_measured": "{precision}: what this hardware does best, as measured at the start",
    "precision_gpu_bf16": "bf16: {gpu} has bf16 units",
    "precision_gpu_fp32": "fp32: {gpu} has no bf16 units and {model_type} models overflow in fp16",
    "precision_gpu_fp16": "fp16 with loss scaling: {gpu} has no bf16 units",
    "precision_cpu_bf16": "bf16: this CPU has bf16 units; the engine measures both once more before it starts",
    "precision_cpu_fp32": "fp32: this CPU has no bf16 units and would only emulate it, slowly",
    "checkpointing_configured": "gradient checkpointing {asked}, as configured",
    "checkpointing_not_needed": "gradient checkpointing off: it fits without ({peak_gib:.1f} of {available_gib:.1f} GiB), faster so",
    "checkpointing_needed": "gradient checkpointing on {recomputed} of {layers} layers: without it, {available_gib:.1f} GiB would"
                            " not be enough",
    "checkpointing_offloaded": "gradient checkpointing on all layers, their inputs in host memory: otherwise {available_gib:.1f} GiB would"
                               " not be enough",
    "checkpointing_stays": "gradient checkpointing on all layers, their inputs not in host memory: only the fused layers of a GPU can have"
                           " them there",
    "micro_batch_smaller": "micro-batches hold {micro_batch} instead of {wanted} rows, {accumulation} a step: that fits, and the"
                            " effective batch stays the same",
    "plain_layers": "slower layers, which hold more memory too: {why} keeps the run off the fused ones",
    "loss_chunks_smaller": "the loss goes in smaller chunks, which saves some hundred MiB",
    "fits": "it fits: {peak_gib:.1f} GiB forecast, {available_gib:.1f} GiB available",
    "does_not_fit": "it does not fit: at least {peak_gib:.1f} GiB and some to spare are needed, {available_gib:.1f} GiB are available",
    "gpu_busy": "{taken_gib:.1f} GiB of {gpu} are taken by other programs",
    "gpu_left_out": "{gpu} is left out, because it does not work; `danlu doctor` says why and what to do",
    "cure_samples": "cure: sample.max_new_tokens = {max_new_tokens} makes it fit: the longest sample needs more memory than training does",
    "cure_precision": "cure: model.precision = '{precision}' makes it fit, with weights in 16 bits, and makes it faster",
    "cure_checkpointing": "cure: train.gradient_checkpointing = 'auto' makes it fit, at about a third more time a step",
    "cure_strategy": "cure: parallel.strategy = 'auto' with num_gpus = {num_gpus} makes it fit, over several GPUs",
    "cure_nf4": "cure: model.quantization = 'nf4' (frozen weights in 4 bits) makes it fit; a step takes about a third longer",
    "cure_length": "cure: data.max_seq_length = {max_seq_length} makes it fit; longer examples are left out",
    "cure_several": "cure: together these changes make it fit: {changes}",
    "cure_smaller_model": "no change of settings makes it fit: choose a smaller model, or a machine with more memory",
    "strategy_gpu": "on one GPU: {gpu}",
    "strategy_cpu": "on the CPU: no NVIDIA GPU can be used here",
    "strategy_no_cuda": "on the CPU: the installed PyTorch cannot use {gpu}; `danlu doctor` says how to change that",
    "strategy_hidden": "on the CPU: CUDA_VISIBLE_DEVICES hides {gpu}",
    "strategy_ddp": "{gpus} GPUs, one process on each with all weights (DDP)",
    "strategy_fsdp2": "{gpus} GPUs, the weights sharded over them (FSDP2)",
    "recommended_other": "better here: {name}, which needs another configuration and {peak_gib:.1f} GiB on each device",
    "taken_single": "it fits on the one {gpu} ({peak_gib:.1f} GiB)",
    "taken_single_of_many": "it fits on one {gpu} ({peak_gib:.1f} GiB), and the other GPUs would gain too little",
    "taken_fsdp2_faster": "sharded over {gpus} GPUs, the weights leave room to keep activations: {time} a step, while whole weights on"
                          " each would mean recomputing ({other})",
    "taken_cpu": "one process on the CPU's threads: no NVIDIA GPU can be used here",
    "taken_ddp": "it fits on each GPU ({peak_gib:.1f} GiB), so {gpus} processes share the {rows} rows of a step and exchange only"
                 " the adapters' gradients",
    "taken_ddp_nodes": "it fits on each GPU ({peak_gib:.1f} GiB), so {gpus} processes on {nodes} machines share the {rows} rows of a step"
                       " and exchange only the adapters' gradients",
    "taken_fsdp2": "weights in {precision} fit only sharded ({peak_gib:.1f} GiB on each of {gpus} GPUs), and {gbs:.0f} GB/s"
                            " between them carry that about as fast as 4-bit weights would train",
    "taken_nf4": "weights in {precision} do not fit or would wait for the links; in 4 bits they fit on every device ({gpus} used,"
                            " {peak_gib:.1f} GiB on each)",
    "taken_nothing_fits": "no way of using these devices fits; this is the simplest",
    "option_asked": "asked for: parallel.strategy = '{strategy}'",
    "option_too_big": "does not fit: at least {peak_gib:.1f} GiB on each device, {available_gib:.1f} available",
    "option_slower": "{time} a step against {best}",
    "option_not_exact": "not needed: it fits with weights in {precision}, which are exact ({time} a step against {best})",
    "option_not_needed": "not needed: all weights fit on every GPU, and gathering shards costs time ({time} a step against {best})",
    "option_not_driven": "reckoned for comparison only: Danlu does not train this way",
    "option_cards_differ": "the slower card sets the pace and the smaller one the memory: {time} a step against {best}",
    "option_short_job": "the run is short: {saved_s:.0f} s would be saved, and starting the processes takes about {start_s:.0f} s",
    "option_one_gpu": "needs at least two usable GPUs",
    "option_one_row": "a step has too few rows to share; raise gradient_accumulation_steps to use more GPUs",
    "option_slow_cards": "the other cards are so much slower that sharing with them would hold the fast one up",
    "option_no_gpu": "needs a GPU",
    "option_quantised_shards": "quantised weights are not sharded",
    "option_short_rows": "rows of {tokens} tokens fit on one GPU; cutting them pays from about {least} tokens",
    "option_host_memory": "{held_gib:.0f} GiB of weights do not fit into the host's memory ({available_gib:.0f} GiB free) beside the rest",
    "time_estimate": "time is an estimate: about {tokens_per_s} tokens/s by the GPU's data sheet and what cards reach of it",
    "time_measured": "time is an estimate: about {tokens_per_s} tokens/s by the arithmetic rate that was just measured",
    "time_parts": "of the time, evaluations take about {evaluations} % and samples up to {samples} %"
                     " (eval.every_steps, sample.every_steps)",
    "time_unknown_data": "no time to finish yet: how many tokens the data holds is not known without data.path and the model's"
                            " tokenizer on this machine",
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

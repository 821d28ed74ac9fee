"""What one decoder layer holds of a token, in bytes: what it keeps for its backward, and what is in flight at its widest moment.

Follows the two ways the engine trains: the fused layers (`engine.fused`) and the plain ones of transformers and peft.
Reads nothing and loads nothing; which way a run takes is decided by `why_plain`, for the forecast and the engine alike.
"""

from engine.model_shape import ModelShape

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


def why_plain(shape: ModelShape, variant: str = "lora", sharded: bool = False) -> str | None:
    """What keeps a run off the fused path, as "key = value" in any language; None when nothing does.  sharded: by fsdp2."""
    if variant == "dora":
        return f"lora.variant = {variant!r}"
    if sharded:
        return "parallel.strategy = 'fsdp2'"
    return shape.unlike_llama or None


def runs_fused(shape: ModelShape, variant: str = "lora", sharded: bool = False) -> bool:
    """Whether the run takes the fused path."""
    return why_plain(shape, variant, sharded) is None


def base_type(shape: ModelShape, precision: str, quantization: str, variant: str, init: str, sharded: bool = False) -> str:
    """The type in which base weights are held. A fused run in fp32 only reads them, so they stay as they were published; adapters that
    begin as a part of the base change it, which takes all digits."""
    reads = precision == "fp32" and quantization == "none" and init == "default" and runs_fused(shape, variant, sharded)
    return shape.published if reads and shape.published in ("bf16", "fp16") else precision


def kept_bytes(
    shape: ModelShape, precision: str, r: int, target_modules: str | list[str], dropout: float, on_gpu: bool, fused: bool,
    variant: str = "lora",
) -> float:  # fmt: skip
    """Bytes a layer keeps of one token for its backward, without checkpointing."""
    if fused:
        return _fused_kept(shape, precision, r, target_modules, on_gpu)
    kept = _plain_kept(shape, precision, r, target_modules, on_gpu)
    kept += _dropped(shape, precision, target_modules) if dropout else 0
    return kept + (_scaled(shape, precision, target_modules) if variant == "dora" else 0)


def backward_bytes(shape: ModelShape, precision: str, fused: bool) -> float:
    """Bytes of gradients and temporaries of one token at the widest point of a layer's backward, which is in its MLP.

    fused: the product's gradient, gate's and up's stacked, and two temporaries of that width.  plain: three of the width, and of
    the hidden width the residual's, the base's, the adapter's and their sum.
    """
    widths = (5, 3) if fused else (3, 4)
    return (widths[0] * feed_width(shape) + widths[1] * shape.hidden_size) * BYTES[precision]


def feed_width(shape: ModelShape) -> int:
    """Width of the MLP of one layer."""
    return max((linear.inputs for linear in shape.linears if linear.name == "down_proj"), default=shape.intermediate_size)


def _widths(shape: ModelShape) -> tuple[int, int, int, int]:
    return shape.hidden_size, shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim, feed_width(shape)


def _inner(shape: ModelShape, r: int, target_modules: str | list[str]) -> int:
    """Inner states of a layer's adapters."""
    return sum(linear.count * r for linear in shape.targets(target_modules))


def _fused_kept(shape: ModelShape, precision: str, r: int, target_modules: str | list[str], on_gpu: bool) -> float:
    """Input, stacked queries, keys and values, the attention's output before and after it is laid out flat, the state between the
    halves, gate and up; normalised queries and keys where a family has them. Where FlashAttention runs, as it does on GPUs that have bf16,
    its output is flat as it comes; elsewhere keys and values are held once a query head."""
    hidden, query, key, feed = _widths(shape)
    flash = on_gpu and precision == "bf16"
    elements = 2 * hidden + query + 2 * key + (1 if flash else 2) * query + 2 * feed + _inner(shape, r, target_modules)
    elements += query + key if shape.has_qk_norm else 0
    elements += 0 if flash or query == key else 2 * query
    statistics = 2 + shape.num_heads + (shape.num_heads + shape.num_kv_heads if shape.has_qk_norm else 0)
    return elements * BYTES[precision] + 4 * statistics


def _plain_kept(shape: ModelShape, precision: str, r: int, target_modules: str | list[str], on_gpu: bool) -> float:
    wide = BYTES[precision]
    hidden, query, key, feed = _widths(shape)
    norms = 2 * hidden * 4 + ((query + key) * 4 if shape.has_qk_norm else 0)
    attention = (3 * query + 2 * (key if on_gpu else query)) * wide
    return norms + 2 * hidden * wide + attention + 4 * feed * wide + _inner(shape, r, target_modules) * wide


def _dropped(shape: ModelShape, precision: str, target_modules: str | list[str]) -> float:
    """peft drops out each adapter's input on its own: a copy and a one-byte mask for every target."""
    return sum(linear.count * linear.inputs * (BYTES[precision] + 1) for linear in shape.targets(target_modules))


def _scaled(shape: ModelShape, precision: str, target_modules: str | list[str]) -> float:
    """DoRA's magnitudes have a gradient, for which each target's output and its adapter's are kept apart."""
    return sum(linear.count * linear.outputs * 2 * BYTES[precision] for linear in shape.targets(target_modules))

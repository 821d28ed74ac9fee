"""Sizes of a decoder model as its `config.json` gives them: parameters, linear layers, what one token keeps.

Exact for the dense families built like Llama (Llama, Mistral, Qwen2, Qwen3, SmolLM, Phi-3, Gemma 1-3, GLM-4, OLMo-2, Granite) and
for Qwen3-MoE and Mixtral. Reads no weights; knows nothing of precision or memory (`engine.forecast`).
"""

from dataclasses import dataclass
from typing import Any

from engine.errors import ModelError

TIED_BY_DEFAULT = ("gemma", "gemma2", "gemma3", "gemma3_text", "smollm3")
QK_NORM = ("qwen3", "qwen3_moe", "gemma3", "gemma3_text")
HEAD_DIM = {"qwen3": 128, "gemma": 256, "gemma2": 256, "gemma3": 256, "gemma3_text": 256}
"""Head widths that are not hidden / heads when a config.json leaves them out."""
QKV_BIAS = ("qwen2",)
FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text", "glm4")
FUSED = ("phi3", "glm4")
"""Families that keep gate and up in one linear layer; Phi-3 fuses q, k and v as well."""
LLAMA_KIND = ("llama", "mistral", "qwen2", "qwen3")
"""Families whose decoder layer is Llama's: norm, attention, norm, SwiGLU."""
UNPACKED = "bitsandbytes"
"""The quantisation whose weights `engine.fused` can unpack."""


@dataclass(frozen=True)
class Linear:
    """One linear layer: `count` of it in each decoder layer."""

    name: str
    inputs: int
    outputs: int
    count: int = 1
    bias: bool = False

    @property
    def weights(self) -> int:
        return self.count * self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        return self.weights + (self.count * self.outputs if self.bias else 0)


@dataclass(frozen=True)
class ModelShape:
    """Sizes in the field's letters: hidden D, vocabulary V, head width d."""

    model_type: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied: bool
    max_positions: int | None
    linears: tuple[Linear, ...]
    experts: tuple[Linear, ...]
    """Expert weights and their router: never targets of LoRA, as transformers keeps them in one fused tensor."""
    norms_per_layer: int
    """Norm weights of one decoder layer, in elements."""
    unlike_llama: str = ""
    """The fact of config.json that makes its layers others than `engine.fused` knows, such as "model_type = 'phi3'"; "" for none."""

    published: str = ""
    """Type of the published weights as precisions are named, "" where config.json does not tell."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ModelShape":
        """Sizes from a parsed config.json. Raises ModelError naming the key that is missing or no number."""
        outer, config = config, config.get("text_config") or config
        model_type = str(config.get("model_type") or outer.get("model_type") or "llama")
        hidden, layers, heads = (_size(config, key) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
        kv_heads = _size(config, "num_key_value_heads", heads)
        head_dim = _size(config, "head_dim", HEAD_DIM.get(model_type, hidden // heads))
        tied = config.get("tie_word_embeddings", outer.get("tie_word_embeddings"))
        return cls(
            model_type=model_type, hidden_size=hidden, num_layers=layers, num_heads=heads, num_kv_heads=kv_heads, head_dim=head_dim,
            intermediate_size=_size(config, "intermediate_size"), vocab_size=_size(config, "vocab_size"),
            tied=model_type in TIED_BY_DEFAULT if tied is None else bool(tied), max_positions=config.get("max_position_embeddings"),
            linears=_attention(config, model_type, hidden, heads * head_dim, kv_heads * head_dim) + _dense(config, model_type, hidden),
            experts=_experts(config, hidden), norms_per_layer=_norms(model_type, hidden, heads, kv_heads, head_dim),
            unlike_llama=_unlike_llama(config, model_type), published=_published(config, outer),
        )  # fmt: skip

    @property
    def parameters(self) -> int:
        """All weights, a tied embedding counted once."""
        return self.embedding_parameters + self.num_layers * self.layer_parameters + self.hidden_size

    @property
    def layer_parameters(self) -> int:
        """Weights of one decoder layer."""
        return sum(linear.parameters for linear in self.linears + self.experts) + self.norms_per_layer

    @property
    def embedding_parameters(self) -> int:
        """Embedding and output head."""
        return self.vocab_size * self.hidden_size * (1 if self.tied else 2)

    @property
    def has_qk_norm(self) -> bool:
        """Whether queries and keys are normalised, which keeps fp32 copies of both."""
        return self.model_type in (*QK_NORM, "olmo2")

    @property
    def quantizable_weights(self) -> int:
        """Weights of the linear layers that bitsandbytes stores in 4 or 8 bits: all but embedding and head."""
        return self.num_layers * sum(linear.weights for linear in self.linears)

    def targets(self, target_modules: str | list[str]) -> tuple[Linear, ...]:
        """The linear layers of one decoder layer that get an adapter."""
        if isinstance(target_modules, str) and target_modules == "all-linear":
            return self.linears
        names = [target_modules] if isinstance(target_modules, str) else target_modules
        wanted = {name.rpartition(".")[2] for name in names}
        return tuple(linear for linear in self.linears if linear.name in wanted)

    def adapter_parameters(self, r: int, target_modules: str | list[str]) -> int:
        """Trainable weights of rank `r` on `target_modules`."""
        return self.num_layers * sum(r * linear.count * (linear.inputs + linear.outputs) for linear in self.targets(target_modules))


def _unlike_llama(config: dict[str, Any], model_type: str) -> str:
    if model_type not in LLAMA_KIND:
        return f"model_type = {model_type!r}"
    if (act := config.get("hidden_act", "silu")) not in ("silu", "swish"):
        return f"hidden_act = {act!r}"
    method = (config.get("quantization_config") or {}).get("quant_method")
    method = getattr(method, "value", method)
    return f"quantization_config = {method!r}" if method not in (None, UNPACKED) else ""


def _published(config: dict[str, Any], outer: dict[str, Any]) -> str:
    """Under its newer or its older name, as text or as PyTorch's own type."""
    told = next((found for part in (config, outer) for key in ("dtype", "torch_dtype") if (found := part.get(key))), "")
    return {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}.get(str(told).removeprefix("torch."), "")


def _attention(config: dict[str, Any], model_type: str, hidden: int, query: int, key: int) -> tuple[Linear, ...]:
    bias = model_type in QKV_BIAS or bool(config.get("attention_bias") or config.get("qkv_bias"))
    output_bias = bool(config.get("attention_bias")) and model_type not in (*QKV_BIAS, "glm4")
    if model_type == "phi3":
        return Linear("qkv_proj", hidden, query + 2 * key), Linear("o_proj", query, hidden)
    return (
        Linear("q_proj", hidden, query, bias=bias), Linear("k_proj", hidden, key, bias=bias),
        Linear("v_proj", hidden, key, bias=bias), Linear("o_proj", query, hidden, bias=output_bias),
    )  # fmt: skip


def _dense(config: dict[str, Any], model_type: str, hidden: int) -> tuple[Linear, ...]:
    if _num_experts(config):
        return ()
    width, bias = _size(config, "intermediate_size"), bool(config.get("mlp_bias"))
    if model_type in FUSED:
        return Linear("gate_up_proj", hidden, 2 * width, bias=bias), Linear("down_proj", width, hidden, bias=bias)
    return (
        Linear("gate_proj", hidden, width, bias=bias), Linear("up_proj", hidden, width, bias=bias),
        Linear("down_proj", width, hidden, bias=bias),
    )  # fmt: skip


def _experts(config: dict[str, Any], hidden: int) -> tuple[Linear, ...]:
    number = _num_experts(config)
    if not number:
        return ()
    width = _size(config, "moe_intermediate_size", config.get("intermediate_size"))
    return Linear("experts", hidden, 3 * width, count=number), Linear("router", hidden, number)


def _num_experts(config: dict[str, Any]) -> int:
    return int(config.get("num_experts") or config.get("num_local_experts") or 0)


def _norms(model_type: str, hidden: int, heads: int, kv_heads: int, head_dim: int) -> int:
    if model_type == "olmo2":
        return 2 * hidden + (heads + kv_heads) * head_dim
    return (4 if model_type in FOUR_NORMS else 2) * hidden + (2 * head_dim if model_type in QK_NORM else 0)


def _size(config: dict[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"config.json: {key} = {value!r}: a whole number above 0 is needed; this is not a decoder model Danlu knows")
    return value

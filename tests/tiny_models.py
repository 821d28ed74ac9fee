"""Tiny random models of each proven family with a real tokenizer, as folders that transformers loads. Nothing is downloaded."""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen2Config, Qwen3Config, set_seed
from transformers.models.auto import AutoModelForCausalLM

from engine.model_shape import ModelShape
from tests.tokenizers import CHATML_TEMPLATE, qwen3_tokenizer_folder, smollm2_tokenizer_folder

FAMILIES = ("qwen3", "qwen2", "llama")
SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "initializer_range": 0.1,
}
"""An initialisation five times the usual one, so that a tiny model's outputs differ enough to tell right from wrong."""

ARCHITECTURES = {
    "qwen3": {"head_dim": 16},
    "qwen2": {},
    "llama": {},
    "mistral": {"sliding_window": 16},
    "smollm3": {"no_rope_layers": [1, 0], "use_sliding_window": False},
    "gemma3_text": {
        "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"],
    },
    "phi3": {"sliding_window": None},
    "glm": {"head_dim": 16},
    "glm4": {"head_dim": 16},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "stablelm": {},
    "qwen3_moe": {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
}  # fmt: skip
"""By model_type; windows are shorter than the examples, so that they matter."""


def tiny_architecture(model_type: str, folder: Path) -> Path:
    """Fill `folder`, in which SmolLM2's tokenizer lies, with a model of that type."""
    set_seed(0)
    tokens = {"vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = AutoConfig.for_model(model_type, **SIZES | {"hidden_size": 64} | tokens | ARCHITECTURES[model_type])
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return folder


def tiny_model(family: str, folder: Path) -> Path:
    """Fill `folder` with a model of `family`: Qwen3's tokenizer and thinking template, ChatML for Qwen2.5, SmolLM2's for Llama."""
    if family == "llama":
        smollm2_tokenizer_folder(folder)
    else:
        qwen3_tokenizer_folder(folder, *([CHATML_TEMPLATE] if family == "qwen2" else []))
    set_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(_config(family), dtype=torch.float32)
    model.save_pretrained(folder)
    return folder


def shape_of(folder: Path) -> ModelShape:
    """Sizes of the model in a folder, as the engine reads them."""
    return ModelShape.from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _config(family: str) -> PreTrainedConfig:
    if family == "llama":
        return LlamaConfig(**SIZES, vocab_size=49152, bos_token_id=1, eos_token_id=2, pad_token_id=2)
    kind = Qwen3Config if family == "qwen3" else Qwen2Config
    extra = {"head_dim": 16} if family == "qwen3" else {}
    return kind(**SIZES, **extra, vocab_size=151936, bos_token_id=None, eos_token_id=151645, pad_token_id=151643)

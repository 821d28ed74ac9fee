"""Sizes of models from their config.json, held against published counts and transformers' own models."""

import json

import pytest

from engine.errors import ModelError
from engine.model_shape import ModelShape
from engine.model_source import REFERENCE_CONFIGS

SHIPPED = json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))
PUBLISHED = {
    "Qwen3-0.6B": 596_049_920, "Qwen3-4B": 4_022_468_096, "Qwen3-4B-Thinking-2507": 4_022_468_096, "Qwen3-8B": 8_190_735_360,
    "Qwen2.5-7B-Instruct": 7_615_616_512, "SmolLM2-135M-Instruct": 134_515_008,
}  # fmt: skip
SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 128, "pad_token_id": 0}  # fmt: skip
FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gemma3_text", "olmo2", "glm4", "granite", "smollm3"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_well_known_models_have_their_published_sizes(name):
    """Tied embeddings count once, head_dim is not hidden / heads in Qwen3."""
    assert ModelShape.from_config(SHIPPED[name]).parameters == PUBLISHED[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_counts_as_transformers_does(family):
    """Biases, norms and fused layers of each family, held against the model itself without memory for its weights."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.AutoConfig.for_model(family, **SMALL)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    real = {id(parameter): parameter.numel() for parameter in model.parameters()}
    if config.tie_word_embeddings:
        model.tie_weights()
        real = {id(parameter): parameter.numel() for parameter in model.parameters()}

    assert ModelShape.from_config(config.to_dict()).parameters == sum(real.values())


def test_an_adapter_on_all_linear_layers_has_the_known_size():
    """33.0 M at rank 16 on Qwen3-4B."""
    assert ModelShape.from_config(SHIPPED["Qwen3-4B"]).adapter_parameters(16, "all-linear") == 33_030_144


def test_named_target_modules_are_counted_alone():
    """q_proj and v_proj of Qwen3-4B: 36 layers of r × (in + out)."""
    shape = ModelShape.from_config(SHIPPED["Qwen3-4B"])

    assert shape.adapter_parameters(8, ["q_proj", "v_proj"]) == 36 * 8 * (2560 + 4096 + 2560 + 1024)


def test_a_config_that_is_no_decoder_is_refused_with_the_key():
    """The message names what is missing."""
    with pytest.raises(ModelError, match="hidden_size = None"):
        ModelShape.from_config({"model_type": "vit"})

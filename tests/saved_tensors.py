"""Measures what autograd keeps of one decoder layer in the engine's own forward."""

import weakref

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from engine import attention, loading
from engine.config import Lora
from engine.model_shape import ModelShape

TOKENS = 256
SIZES = {"hidden_size": 128, "intermediate_size": 320, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 512,
         "tie_word_embeddings": True}  # fmt: skip


def saved_bytes_of_a_layer(
    family: str, precision: str, dropout: float, fused: bool, variant: str = "lora"
) -> tuple[float, ModelShape, int]:
    """Bytes of one layer (a 4-layer model's less a 2-layer one's, halved), the model's shape, and tokens."""
    two, _ = _saved(family, 2, precision, dropout, fused, variant)
    four, shape = _saved(family, 4, precision, dropout, fused, variant)
    return (four - two) / 2, shape, TOKENS


def trained_model(
    family: str, layers: int, precision: str, dropout: float = 0.0, variant: str = "lora"
) -> tuple[loading.LoadedModel, ModelShape]:
    """A small model with its adapter, as the engine prepares it for training."""
    kind, head_dim = (Qwen3Config, 32) if family == "qwen3" else (LlamaConfig, 16)
    config = kind(**SIZES, num_hidden_layers=layers, head_dim=head_dim)
    base = AutoModelForCausalLM.from_config(config, dtype=loading.DTYPES[precision], attn_implementation=attention.NAME)
    base.requires_grad_(False)
    lora = Lora(dropout=dropout, variant=variant)
    shape = ModelShape.from_config(config.to_dict())
    adapted = loading.add_adapter(base, shape, lora, 0)
    return loading.prepare_training(adapted, shape, lora, torch.device("cpu"), precision, recomputed_layers=0), shape


def _saved(family: str, layers: int, precision: str, dropout: float, fused: bool, variant: str) -> tuple[int, ModelShape]:
    model, shape = trained_model(family, layers, precision, dropout, variant)
    if not fused:
        model.fused = None
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*model.peft.parameters(), *model.peft.buffers())}
    saved: list[weakref.ref[torch.Tensor]] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(weakref.ref(tensor))  # what a forward saves for a graph that it then drops is not kept
        return tensor

    ids, positions, rows = torch.zeros(1, TOKENS, dtype=torch.long), torch.arange(TOKENS)[None], torch.arange(TOKENS)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.hidden(ids, positions, (TOKENS,), rows)
    alive = [tensor.untyped_storage() for reference in saved if (tensor := reference()) is not None]
    kept = {storage.data_ptr(): storage.nbytes() for storage in alive if storage.data_ptr() not in weights}
    del hidden
    return sum(kept.values()), shape

"""The smallest model that trains as the real ones do: Qwen3's architecture over single bytes, so that a step takes milliseconds."""

import json
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers
from transformers import Qwen3Config, Qwen3ForCausalLM, set_seed

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.reasoning_content %}{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{% endif %}"
    "{{ message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_byte_model(folder: Path) -> Path:
    """Fill `folder` with a random model of two layers and its tokenizer, and return it."""
    folder.mkdir(parents=True)
    _write_tokenizer(folder)
    set_seed(0)
    config = Qwen3Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=64,
        max_position_embeddings=2048, tie_word_embeddings=True, initializer_range=0.1, vocab_size=256 + len(SPECIAL),
        bos_token_id=None, eos_token_id=258, pad_token_id=256,
    )  # fmt: skip
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({character: id for id, character in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(SPECIAL))
    backend.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE} | names
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")

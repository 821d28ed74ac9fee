"""A model folder with random weights of a Qwen shape and the real Qwen3 tokenizer: `python -m tests.bench.random_model FOLDER SIZES`."""

import json
import sys
from pathlib import Path

import torch
from transformers import Qwen3Config
from transformers.models.auto import AutoModelForCausalLM

from tests.tokenizers import CHATML_TEMPLATE, qwen3_tokenizer_folder


def main(folder: Path, sizes: dict[str, int]) -> None:
    """Write it in bf16, as such models are published. ChatML, so that peers and Danlu render records alike."""
    qwen3_tokenizer_folder(folder, CHATML_TEMPLATE)
    head_dim = 128 if sizes["hidden_size"] > 2000 else 64
    config = Qwen3Config(
        **{"head_dim": head_dim} | sizes, vocab_size=151936, max_position_embeddings=32768, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=151645, pad_token_id=151643,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):  # billions of random numbers take a CPU minutes
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))

"""A GGUF file made into a folder transformers loads as it is, once. `python -m engine.gguf FILE FOLDER` does it by hand.

transformers reads the GGUF but refuses to save it again ("quantized with gguf"), so the weights go into a fresh model.
Stored in bf16: the demo's weights come from 4-bit blocks, and their bf16 rounding is far below that.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from data.gguf_tokenizer import write_tokenizer
from engine.errors import ModelError
from engine.model_source import Progress


def convert(gguf: Path, folder: Path, progress: Progress) -> None:
    """Fill `folder` (existing, empty) with config, tokenizer and bf16 safetensors. Raises ModelError for a file transformers can't read."""
    progress(0, 3, f"{gguf.name}: tokenizer")
    write_tokenizer(gguf, folder)
    progress(1, 3, f"{gguf.name}: reading the weights, once (half a minute for the demo)")
    try:
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    except (ValueError, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"{gguf}: transformers cannot read this GGUF ({str(error).splitlines()[0]}); use the original safetensors model"
        ) from error
    progress(2, 3, f"{gguf.name}: saving as safetensors")
    _unquantized(loaded).save_pretrained(folder)
    progress(3, 3, gguf.name)


def _unquantized(loaded: torch.nn.Module) -> torch.nn.Module:
    """The same weights in a model that knows nothing of GGUF, equal input and output embeddings tied again."""
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    head, embedding = loaded.get_output_embeddings().weight, loaded.get_input_embeddings().weight
    config.tie_word_embeddings = head is embedding or torch.equal(head, embedding)
    config.dtype = torch.bfloat16
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict(), strict=not config.tie_word_embeddings)
    fresh.tie_weights()
    return fresh


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    convert(Path(sys.argv[1]), Path(sys.argv[2]), lambda done, total, detail: print(detail, file=sys.stderr))

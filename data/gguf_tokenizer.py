"""The tokenizer inside a GGUF file as a folder with tokenizer.json. Byte-level BPE only; weights are the engine's business.

Pre-tokenizers by llama.cpp's names (`src/llama-vocab.cpp`); the values are those of the models' own tokenizer.json.
"""

import json
from pathlib import Path
from typing import Any

from data.errors import TemplateError

_CONTROL, _USER_DEFINED = 3, 4
"""GGUF's kinds of token that are matched before any splitting."""

_QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_DIGITS = {"type": "Digits", "individual_digits": True}


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


_PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [_byte_level(True)],
    "default": [_byte_level(True)],
    "smollm": [_DIGITS, _byte_level(True)],
    "qwen2": [_split(_QWEN2), _byte_level(False)],
    "llama-bpe": [_split(_LLAMA3), _byte_level(False)],
    "llama3": [_split(_LLAMA3), _byte_level(False)],
}


def write_tokenizer(gguf_path: Path, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json into `folder` (existing).

    Raises TemplateError for a file that is no GGUF, and for a tokenizer that is not byte-level BPE of a known kind.
    """
    fields = _read_fields(gguf_path)
    kind, pre = fields.get("model"), fields.get("pre", "default")
    if kind != "gpt2" or pre not in _PRE_TOKENIZERS or "tokens" not in fields:
        raise TemplateError(
            f"{gguf_path}: its tokenizer ({kind}, {pre}) cannot be converted exactly; use the model's folder with tokenizer.json instead"
        )
    tokens: list[str] = fields["tokens"]
    _write(folder / "tokenizer.json", _tokenizer_json(tokens, fields.get("token_type", []), fields.get("merges", []), pre))
    named = {name: tokens[fields[key]] for name, key in _SPECIAL.items() if isinstance(fields.get(key), int) and fields[key] < len(tokens)}
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **named}
    if template := fields.get("chat_template"):
        config["chat_template"] = template
    _write(folder / "tokenizer_config.json", config)
    if isinstance(fields.get("eos_token_id"), int):
        _write(folder / "generation_config.json", {"eos_token_id": fields["eos_token_id"]})


_SPECIAL = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "pad_token": "padding_token_id", "unk_token": "unknown_token_id"}


def _read_fields(path: Path) -> dict[str, Any]:
    """The tokenizer's metadata, names without their prefix."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except FileNotFoundError:
        raise TemplateError(f"{path}: no such file; check model.name") from None
    except (OSError, ValueError, IndexError) as error:
        raise TemplateError(f"{path}: cannot be read as GGUF ({error}); fetch the file again") from error
    names = [name for name in reader.fields if name.startswith("tokenizer.")]
    return {name.removeprefix("tokenizer.").removeprefix("ggml."): reader.fields[name].contents() for name in names}


def _tokenizer_json(tokens: list[str], kinds: list[int], merges: list[str], pre: str) -> dict[str, Any]:
    byte_level = _byte_level(True)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": id, "content": tokens[id], **flags, "special": kind == _CONTROL}
        for id, kind in enumerate(kinds)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if pre == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": _PRE_TOKENIZERS[pre]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre in ("llama-bpe", "llama3"),
            "vocab": {token: id for id, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")

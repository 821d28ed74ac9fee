"""tiktoken's byte-pair encoder for tokenizers whose ids it is proven to give, at a third of the CPU that tokenizers takes.

tiktoken merges whatever pair spells the lowest vocabulary entry, tokenizers whatever pair stands first in its list of merges. That
is the same where every merge makes a later entry than the one before, and every entry comes out of its own spelling whole: then the
pair that spells an entry is the one that the list merges into it. How text is cut into words before is a pattern that two engines read;
those known to read alike were compared on every code point (tests/test_quick_encoder.py). Anything else keeps tokenizers alone.
"""

import json
import os
import re
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import numpy as np
import tokenizers

from data.byte_level import BYTE_OF
from data.noncharacters import NONCHARACTERS, free_noncharacter

_CUTS = tuple(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in (r"\p{N}", r"\p{N}{1,3}")
)
"""Patterns that both engines read alike: Qwen's, and the one with three digits a word."""
_LONG_SPACE = re.compile(r"\s{4096}")
"""tiktoken's engine runs out of stack on a million spaces."""
_MOST_THREADS = 8


class QuickEncoder:
    """Ids as `tokenizers` gives them, of texts without control tokens. Made by `quick_encoder`."""

    def __init__(self, backend: tokenizers.Tokenizer, pattern: str):
        # Importing it takes a while, and most sessions never get here.
        import tiktoken

        self._backend = backend
        ranks = {bytes(map(BYTE_OF.__getitem__, token)): id for token, id in backend.get_vocab(with_added_tokens=False).items()}
        self._separators = {character: len(ranks) + number for number, character in enumerate(NONCHARACTERS)}
        self._encoding = tiktoken.Encoding("danlu", pat_str=pattern, mergeable_ranks=ranks, special_tokens=self._separators)
        self._threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads)

    def encode(self, texts: Sequence[str]) -> "list[array[int]]":
        """Ids of each text."""
        share = -(-len(texts) // self._threads) or 1
        shares = [texts[start : start + share] for start in range(0, len(texts), share)]
        return [*chain.from_iterable(self._pool.map(self._encode_share, shares))]

    def _encode_share(self, texts: Sequence[str]) -> "list[array[int]]":
        """All in one call, because each lets go of the interpreter and has to wait for it again."""
        separator = free_noncharacter(texts)
        joined = separator.join(texts) if separator else ""
        if not separator or _LONG_SPACE.search(joined):
            return plain_ids(self._backend, texts)
        if self._backend.normalizer and not joined.isascii():
            joined = self._backend.normalizer.normalize_str(joined)
        ids = self._encoding.encode_to_numpy(joined, allowed_special={separator}, disallowed_special=())
        ends = [-1, *np.flatnonzero(ids == self._separators[separator]).tolist(), len(ids)]
        flat = array("i", ids.astype(np.int32).tobytes())
        return [flat[start + 1 : end] for start, end in pairwise(ends)]


def plain_ids(backend: tokenizers.Tokenizer, texts: Sequence[str]) -> "list[array[int]]":
    """Ids of each text by `tokenizers` itself."""
    return [array("i", encoding.ids) for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]


def quick_encoder(backend: tokenizers.Tokenizer) -> QuickEncoder | None:
    """An encoder with the same ids; None where that is not proven. Takes a second or two of CPU for a vocabulary of 150,000."""
    pattern = _pattern(backend)
    if pattern not in _CUTS or not _is_plain_model(json.loads(backend.model.__getstate__())) or not _spells_itself(backend):
        return None
    return QuickEncoder(backend, pattern)


def _pattern(backend: tokenizers.Tokenizer) -> str | None:
    """The pattern that cuts texts into words, where that and writing them in bytes is all that is done before merging."""
    normalizer = json.loads(backend.normalizer.__getstate__()) if backend.normalizer else None
    steps = json.loads(backend.pre_tokenizer.__getstate__()).get("pretokenizers", []) if backend.pre_tokenizer else []
    if normalizer not in (None, {"type": "NFC"}) or [step["type"] for step in steps] != ["Split", "ByteLevel"]:
        return None
    split, bytes_ = steps
    is_plain = split["behavior"] == "Isolated" and not split["invert"] and not bytes_["add_prefix_space"] and not bytes_["use_regex"]
    return split["pattern"].get("Regex") if is_plain else None


def _is_plain_model(model: dict) -> bool:
    """Byte pairs merged in the order of the vocabulary, and nothing else."""
    extras = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges")
    if model["type"] != "BPE" or any(model[name] for name in extras):
        return False
    made = [model["vocab"].get(left + right, -1) for left, right in model["merges"]]
    return all(before < after for before, after in pairwise(made))


def _spells_itself(backend: tokenizers.Tokenizer) -> bool:
    """Whether each entry of the vocabulary is what its own spelling is merged into."""
    model, vocabulary = backend.model, backend.get_vocab(with_added_tokens=False)
    return all([part.id for part in model.tokenize(token)] == [id] for token, id in vocabulary.items())

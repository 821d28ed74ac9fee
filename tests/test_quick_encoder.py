"""The quick encoder gives the ids that tokenizers gives, and steps aside where that is not proven."""

import json
from array import array
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data import quick_encoder, segments
from data.reading import read_file
from data.tokenizer import load_tokenizer
from tests.conftest import PROJECT, SHARED
from tests.naughty import corpus

_AROUND = "a{0}b1{0}{0}2 {0} -'{0}e\n{0}\n"
_EXTREMES = (" " * 1_000_000 + "a", "\n" * 100_000, "^" * 100_000, "密码" * 50_000, "".join(map(chr, range(0xFDD0, 0xFDF0))))


@pytest.fixture(scope="module")
def backend(qwen3_folder) -> tokenizers.Tokenizer:
    """Qwen3's, as `load_tokenizer` sets it up."""
    return load_tokenizer(qwen3_folder)._backend


@pytest.fixture(scope="module")
def quick(backend) -> quick_encoder.QuickEncoder:
    """Its quick encoder."""
    found = quick_encoder.quick_encoder(backend)
    assert found is not None, "Qwen3's is the tokenizer it is for"
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Questions and answers of the bundled set, and strings that break things; lone surrogates are for the reader to refuse."""
    records = read_file(PROJECT / "data" / "bundled" / "crypto_zh.jsonl").records
    found = [turn.content for record in records for turn in record.conversation.turns]
    naughty = corpus(SHARED if SHARED.is_dir() else None)
    return [text for text in [*found, *naughty] if text and not any("\ud800" <= character < "\ue000" for character in text)]


def _plain(backend: tokenizers.Tokenizer, texts: list[str]) -> "list[array[int]]":
    return [array("i", encoding.ids) for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]


def _changed(backend: tokenizers.Tokenizer, change) -> tokenizers.Tokenizer:
    """The tokenizer with its description changed in place by `change`."""
    state = json.loads(backend.to_str())
    change(state)
    return tokenizers.Tokenizer.from_str(json.dumps(state))


def test_real_and_naughty_texts_have_the_same_ids(backend, quick, texts):
    assert quick.encode(texts) == _plain(backend, texts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_texts_have_the_same_ids(backend, quick, texts):
    """Control tokens are cut out before (`data.segments`), and hypothesis does try those that stand in our code."""
    assume(not any(token.content in text for token in backend.get_added_tokens_decoder().values() for text in texts))
    assert quick.encode(texts) == _plain(backend, texts)


@pytest.mark.parametrize("text", _EXTREMES)
def test_extreme_texts_have_the_same_ids(backend, quick, text):
    """A million spaces exhaust the quick one's engine; a text with every separator leaves none to join with."""
    assert quick.encode(["before", text, "after"]) == _plain(backend, ["before", text, "after"])


@pytest.mark.parametrize("pattern", quick_encoder._CUTS)
def test_both_engines_cut_alike_around_every_code_point(pattern):
    """With a vocabulary of all pairs of bytes, the ids of a text show where it was cut. Of the large scripts every 97th character."""
    backend = _pairs_of_bytes(pattern)
    quick = quick_encoder.QuickEncoder(backend, pattern)
    large = [range(0x3400, 0xA48D), range(0xAC00, 0xD7A4), range(0xD800, 0xF900), range(0x17000, 0x18D00), range(0x20000, 0x30000)]
    points = [point for point in range(1, 0x30000) if not any(point in script for script in large)]
    points += [point for script in large for point in script[::97] if not 0xD800 <= point < 0xE000] + [*range(0xE0000, 0xE0200)]
    for start in range(0, len(points), 512):
        characters = [chr(point) for point in points[start : start + 512]]
        texts = [_AROUND.format(one) for one in characters]
        assert quick.encode(texts) == _plain(backend, texts), hex(points[start])


def _pairs_of_bytes(pattern: str) -> tokenizers.Tokenizer:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [(left, right) for left in alphabet for right in alphabet]
    vocabulary = [*alphabet, *(left + right for left, right in merges)]
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={token: id for id, token in enumerate(vocabulary)}, merges=merges))
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    in_bytes = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, in_bytes])
    return backend


def _swap_two_merges(state):
    merges = state["model"]["merges"]
    merges[0], merges[4] = merges[4], merges[0]


def _add_an_entry_that_no_merge_makes(state):
    state["model"]["vocab"]["thinking-models"] = len(state["model"]["vocab"])


def _cut_otherwise(state):
    state["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}+|\P{L}+"


def _normalise_otherwise(state):
    state["normalizer"] = {"type": "NFKC"}


@pytest.mark.parametrize("change", [_swap_two_merges, _add_an_entry_that_no_merge_makes, _cut_otherwise, _normalise_otherwise])
def test_a_tokenizer_that_may_differ_has_none(change):
    """Of a small tokenizer that has one as it is."""
    small = _trained()
    assert quick_encoder.quick_encoder(small) is not None
    assert quick_encoder.quick_encoder(_changed(small, change)) is None


def _trained() -> tokenizers.Tokenizer:
    backend = _pairs_of_bytes(quick_encoder._CUTS[0])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=900, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    backend.train_from_iterator([" ".join(f"key{number} cipher{number * 7} 密钥{number}" for number in range(3000))], trainer)
    return backend


def test_examples_are_the_same_after_the_quick_encoder_took_over(backend, texts, monkeypatch):
    texts = [f"<|im_start|>user\n{text}<|im_end|>\n" for text in texts[:300]]
    expected = [encoded.ids for encoded in segments.Segmenter(backend, None).encode(texts)]
    monkeypatch.setattr(segments, "_MANY", 1000)
    segmenter = segments.Segmenter(backend, None)
    found = [encoded.ids for start, end in pairwise([0, 5, len(texts)]) for encoded in segmenter.encode(texts[start:end])]
    assert segmenter._quick is not None and found == expected

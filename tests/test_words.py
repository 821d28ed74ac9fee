"""Words: jieba's segmentation at rjieba's speed, terms whole, nothing lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.reading import read_file
from data.term_list import chinese_names
from data.words import count_words, fast_cut, reference_cut, words
from tests.conftest import PROJECT

CHINESE = re.compile("[\u4e00-\u9fd5]+")


@settings(deadline=None)  # the dictionary is loaded at the first call
@given(st.text())
def test_nothing_is_lost(text):
    """The words put together are the text."""
    assert "".join(words(text)) == text


@pytest.mark.parametrize("name", ["belle_eval_set.json", "huanhuan.json"])
def test_the_fast_segmenter_cuts_as_the_reference(shared_data, name):
    """rjieba and jieba with the same dictionary give the same words on thousands of real texts (docs/log.md: on 178,561)."""
    records = read_file(shared_data / name, limit=300).records
    runs = {run for record in records for run in CHINESE.findall(record.conversation.text())}
    fast, reference = fast_cut(), reference_cut()

    assert [run for run in runs if fast(run) != reference(run)] == []


def test_both_cut_the_bundled_set_and_every_term_alike():
    """Texts of the domain, where the dictionary matters."""
    records = read_file(PROJECT / "data" / "bundled" / "crypto_zh.jsonl", limit=150).records
    texts = [run for record in records for run in CHINESE.findall(record.conversation.text())] + chinese_names()

    assert [text for text in texts if fast_cut()(text) != reference_cut()(text)] == []


def test_terms_are_words():
    """The dictionary keeps names whole that a general one cuts."""
    assert words("密钥封装机制用于密评") == ["密钥封装机制", "用于", "密评"]


def test_latin_names_stay_whole():
    """A name is one word, with its hyphens, dots and underscores."""
    assert words("用AES-256-GCM和is_prime") == ["用", "AES-256-GCM", "和", "is_prime"]


def test_words_are_counted_without_punctuation():
    """Letters in any case are one word."""
    assert count_words(["密钥，密钥！", "RSA rsa"]) == {"密钥": 2, "rsa": 2}

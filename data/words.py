"""Chinese text cut into words: jieba's segmentation with the project's terms in its dictionary.

rjieba does it at sixteen times the speed with the same result (tests/test_words.py), jieba is the reference. Both are given runs of
Chinese only, because they differ on Latin names; those are cut here. The guessing of unknown words (HMM) is off: without it the
result is better on PKU and MSR (docs/log.md), and the two agree everywhere. Terms are recognised apart from this, by `data.terms`.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable

import rjieba

from data.term_list import chinese_names

Cut = Callable[[str], list[str]]

_PIECE = re.compile("(?P<chinese>[\u4e00-\u9fd5]+)|[A-Za-z0-9]+(?:[._'-][A-Za-z0-9]+)*|\\s+|.", re.DOTALL)
FREQUENCY = 20_000
"""Weight of a term in the dictionary: above nearly all of jieba's own words, so that terms stay whole."""


def words(text: str, cut: Cut | None = None) -> list[str]:
    """The text cut into words, nothing left out; Latin names such as AES-256-GCM stay whole. cut: another segmenter of Chinese."""
    cut = cut or fast_cut()
    return [word for piece in _PIECE.finditer(text) for word in (cut(piece[0]) if piece.lastgroup else (piece[0],))]


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs; punctuation and white space are none, and Latin words count in lower case."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word.lower() for word in words(text) if word[0].isalnum())
    return counts


@functools.cache
def fast_cut() -> Cut:
    """rjieba with the project's dictionary."""
    segmenter = rjieba.Jieba()
    for name in chinese_names():
        # A word added twice would count twice in jieba's total, not in rjieba's.
        if not segmenter.has_word(name):
            segmenter.add_word(name, FREQUENCY, "nz")
    return functools.partial(segmenter.cut, hmm=False)


@functools.cache
def reference_cut() -> Cut:
    """jieba with the project's dictionary; its own dictionary takes a second to load."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    segmenter = jieba.Tokenizer()
    segmenter.initialize()
    for name in chinese_names():
        if not segmenter.FREQ.get(name):
            segmenter.add_word(name, FREQUENCY)
    return functools.partial(segmenter.lcut, HMM=False)

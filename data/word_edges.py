"""Where two words meet inside what looks like a name of two characters: there is no 密钥 in 机密|钥匙, no 加密 in 加|密钥.

Decided by the characters beside the name and jieba's list of words alone: cutting the text into words would take longer.
"""

import functools
import re
from importlib.util import find_spec
from pathlib import Path

from data.term_list import chinese_names

_COMMON = re.compile(r"\n([\u4e00-\u9fd5]{2}) (?:[2-9]\d|\d{3,}) ")
"""A line of jieba's dictionary: a word of two characters that its corpus has 20 times or more. Rarer ones are accidents (被窃)."""


def is_torn(flat: str, start: int, end: int) -> bool:
    """Whether a name of two characters at [start, end), with one of `words_over_ends` over its end, is two words' edge."""
    words = _words()
    has_word_after = flat[end : end + 2] in words
    if flat[start - 1 : start + 1] in words:
        return not (has_word_after and flat[max(0, start - 2) : start] in words)  # 超过|分组|长度 is no 过分|组长.
    return flat[end - 1 : end + 1] in _names() and not has_word_after


@functools.cache
def words_over_ends() -> frozenset[str]:
    """Words that begin with the last character of a name. A set of its own because it is asked at every name, and small stays quick."""
    last = {name[1] for name in _names()}
    return frozenset(word for word in _words() if word[0] in last)


@functools.cache
def _words() -> frozenset[str]:
    return _names().union(_COMMON.findall(_dictionary().read_text(encoding="utf-8")))


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(name for name in chinese_names() if len(name) == 2)


def _dictionary() -> Path:
    """jieba's own file: importing jieba to ask for it would take ten times as long."""
    spec = find_spec("jieba")
    assert spec and spec.origin
    return Path(spec.origin).with_name("dict.txt")

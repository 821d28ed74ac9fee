"""Searching the texts of many records."""

from hypothesis import given
from hypothesis import strategies as st

from data import text_index
from data.text_index import TextIndex


@given(st.lists(st.text(max_size=20), max_size=20), st.text(min_size=1, max_size=3), st.integers(1, 64))
def test_a_search_finds_what_comparing_one_by_one_finds(texts, needle, block):
    """Whatever the case, the language, or where a block of the file ends; a text does not run on into the next."""
    whole, text_index._BLOCK = text_index._BLOCK, block
    index = TextIndex()
    for text in texts:
        index.add(text)
    index.flush()
    expected = [number for number, text in enumerate(texts) if text_index.fold(needle) in text_index.fold(text)]

    assert list(index.search(needle)) == expected
    text_index._BLOCK = whole


def test_what_was_not_flushed_is_not_looked_at():
    index = TextIndex()
    index.add("密码")

    assert list(index.search("密码")) == [] and len(index) == 0
    index.flush()
    assert list(index.search("密")) == [0]

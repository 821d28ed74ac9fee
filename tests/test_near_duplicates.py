"""Near duplicates: found by MinHash, confirmed exactly, grouped; against comparing all with all."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.near_duplicates import THRESHOLD, grams_of, jaccard, near_duplicate_groups, normalised
from data.reading import read_file

SENTENCE = "商用密码应用安全性评估是对网络和信息系统的密码应用的合规性、正确性、有效性进行的评估活动，由测评机构按照标准开展。"


def _exact_groups(texts):
    """Groups by comparing all with all: the oracle."""
    grams = [grams_of(normalised(text)) for text in texts]
    group = list(range(len(texts)))
    for a in range(len(texts)):
        for b in range(a):
            common = len(grams[a] & grams[b])
            if common >= THRESHOLD * (len(grams[a]) + len(grams[b]) - common):
                old, new = max(group[a], group[b]), min(group[a], group[b])
                group = [new if number == old else number for number in group]
    numbers = {}
    return [numbers.setdefault(number, len(numbers)) for number in group]


def test_a_changed_word_leaves_a_near_duplicate():
    """The same question in slightly other words is one group, another question is not."""
    texts = [SENTENCE, SENTENCE.replace("有效性", "可用性"), "SM4是分组密码，分组长度为128比特，密钥长度也是128比特。"]

    assert near_duplicate_groups(texts) == [0, 0, 1]


def test_case_and_white_space_do_not_count():
    """A text copied with other line breaks is the same text."""
    assert near_duplicate_groups(["AES is a\nblock cipher", "aes  is A block　cipher", "RSA is not"]) == [0, 0, 1]


def test_groups_are_joined_over_a_middle_text():
    """A like B and B like C puts all three together, though A and C are less alike."""
    a, b, c = SENTENCE, SENTENCE[6:] + "一二三", SENTENCE[12:] + "一二三四五六"

    assert jaccard(normalised(a), normalised(c)) < THRESHOLD <= min(jaccard(a, b), jaccard(b, c))
    assert near_duplicate_groups([a, c, b]) == [0, 0, 0]


@pytest.mark.parametrize(
    "texts", [[], ["a"], ["", ""], ["a", "a", "b", ""], ["abcd", "abcd", "abce"], ["密", "密 ", "码"], ["\ud800", "\udfff"]]
)
def test_short_and_empty_texts_are_grouped_exactly(texts):
    """A text shorter than a 5-gram is its own gram, and half a surrogate pair breaks nothing."""
    assert near_duplicate_groups(texts) == _exact_groups(texts)


@given(st.lists(st.text("甲乙 a", max_size=30), max_size=12))
def test_groups_are_those_of_the_exact_comparison_where_alike_means_same(texts):
    """Equal texts always share a group, and numbers count up in order of appearance."""
    groups = near_duplicate_groups(texts)

    same = {}
    assert all(same.setdefault(normalised(text), group) == group for text, group in zip(texts, groups, strict=True))
    assert list(dict.fromkeys(groups)) == list(range(len(set(groups))))


def test_variants_of_texts_are_found_as_the_exact_comparison_finds_them(shared_data):
    """Planted copies with a tenth of their characters changed, in a real file: recall and precision are one."""
    random_source = random.Random(42)
    texts = [record.conversation.text() for record in read_file(shared_data / "alpaca_zh_demo.json").records][:200]
    for text in texts[:40]:
        at = random_source.randrange(max(1, len(text) - 10))
        texts.append(text[:at] + "改动" + text[at + 2 :])

    assert near_duplicate_groups(texts) == _exact_groups(texts)


def test_a_sentence_that_starts_every_record_makes_no_duplicates():
    """Thousands of questions from one form stay questions of their own; comparing all with all would take minutes."""
    texts = [
        f"请回答下面的密码学问题并给出详细的解释：{chr(0x4E00 + number) * 2}{number}的{chr(0x5E00 + number) * 9}" for number in range(4000)
    ]

    assert len(set(near_duplicate_groups(texts))) == 4000


def test_thousands_of_near_copies_are_one_group():
    """A record generated over and over with another number in it; going through all pairs would take minutes."""
    assert set(near_duplicate_groups([f"{SENTENCE}第{number}条" for number in range(5000)])) == {0}


def test_big_buckets_are_grouped_as_the_exact_comparison_groups_them():
    """The rare-gram shortcut loses no pair: texts of one form, alike by any degree."""
    source = random.Random(7)
    texts = ["请回答这个密码学问题：" + "".join(source.choice("甲乙丙丁") for _ in range(9)) for _ in range(300)]

    assert near_duplicate_groups(texts) == _exact_groups(texts)


def test_progress_counts_up_to_the_end():
    """A bar never jumps back."""
    told = []
    near_duplicate_groups([f"{SENTENCE[number:]}" for number in range(40)], lambda done, total: told.append((done, total)))

    assert told == sorted(told) and told[-1] == (40, 40)


@pytest.mark.parametrize(("name", "exact"), [("alpaca_zh_demo.json", 8), ("alpaca_en_demo.json", 14), ("huanhuan.json", 112)])
def test_duplicates_of_real_files_are_found(shared_data, name, exact):
    """At least the exact duplicates that the files are known to hold."""
    texts = [record.conversation.text() for record in read_file(shared_data / name).records]
    groups = near_duplicate_groups(texts)

    assert len(texts) - len(set(texts)) == exact
    assert len(texts) - len(set(groups)) >= exact

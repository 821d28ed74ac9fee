"""Fixes: offered with before and after, made only when taken, never touching words."""

import copy
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import chinese
from data.chinese import half_width, script_of, whole_characters
from data.errors import DataError
from data.fixes import ON_REQUEST, Offer, applied, difference, fixed, offers, scripts
from data.mojibake import looks_garbled, repaired
from data.quality import CHECKS

GARBLED = "密码学研究信息保密的科学".encode().decode("gb18030", "replace")
RAW = {"instruction": "ＳＭ４是什么\u200b？", "output": GARBLED, "turns": [{"text": "⼯作密钥"}, 7, None]}


def test_every_text_of_a_record_is_looked_at():
    """Each offer says where, what and what it would become."""
    assert [(offer.path, offer.code, offer.after) for offer in offers(RAW)] == [
        (("instruction",), "invisible_characters", "ＳＭ４是什么？"),
        (("instruction",), "full_width", "SM4是什么\u200b？"),
        (("output",), "garbled", "密码学研究信息保密的科学"),
        (("turns", 0, "text"), "broken_characters", "工作密钥"),
    ]


def test_only_what_is_taken_is_made_and_the_record_stays():
    """Two fixes of one text both take effect; the others are left alone."""
    before = copy.deepcopy(RAW)
    fixed = applied(RAW, offers(RAW)[:2])

    assert fixed == RAW | {"instruction": "SM4是什么？"} and before == RAW


@settings(deadline=None, max_examples=40)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_is_fixed_needs_no_second_fix(value):
    """All offers of any record taken, nothing is offered any more."""
    raw = {"x": value}
    once = applied(raw, offers(raw))

    assert offers(applied(once, offers(once))) == []


def test_sound_text_is_offered_nothing():
    """Chinese punctuation, emoji and powers mean what they are."""
    assert offers({"a": "密码，“学”——x² ① ½ 👨\u200d👩\u200d👧 café"}) == []


def test_the_difference_is_short():
    """Only the place of the change is shown."""
    assert difference("一二三四五六七八九十ＳＭ４一二三四五六七八九十", "一二三四五六七八九十SM4一二三四五六七八九十") == (
        "'五六七八九十ＳＭ４一二三四五六' → '五六七八九十SM4一二三四五六'"
    )


@pytest.mark.parametrize(
    ("text", "script"),
    [("对称密码学的密钥", "simplified"), ("對稱密碼學的密鑰", "traditional"), ("对称密钥们學國會", "mixed"), ("密文", ""), ("abc", ""),
     ("甄嬛传是一部很长的电视剧", "simplified")],
)  # fmt: skip
def test_the_script_of_a_text(text, script):
    """Told by characters that only one of the two has."""
    assert script_of(text) == script


def test_conversion_needs_opencc_or_says_so(monkeypatch):
    """Without OpenCC the message names the package; it is never offered unasked."""
    monkeypatch.setitem(sys.modules, "opencc", None)
    chinese._converter.cache_clear()
    with pytest.raises(DataError, match=r"pip install 'danlu\[chinese\]'"):
        fixed("密碼學", "to_simplified")

    assert {offer.code for offer in offers({"a": "密碼學"})}.isdisjoint(ON_REQUEST)


@pytest.mark.parametrize(
    ("text", "codes"),
    [("对称密码学的密钥", ["to_traditional"]), ("對稱密碼學的密鑰", ["to_simplified"]), ("对称密钥们學國會", [*ON_REQUEST]), ("AES", [])],
)
def test_only_a_script_that_would_change_the_record_is_named(text, codes):
    """Simplified text cannot be made Simplified; where both are mixed, either is a choice."""
    assert scripts({"instruction": text, "turns": [{"id": 7}]}) == codes


def test_a_record_is_taken_into_traditional_and_back():
    """On request and by OpenCC's words: 头发 is no 頭發; the script is told afterwards, and nothing is lost on the way."""
    record = {"instruction": "软件里的密钥", "output": "长度为128位，头发、发展。"}
    there = applied(record, offers(record, ["to_traditional"]))
    back = applied(there, offers(there, ["to_simplified"]))

    assert there["output"] == "長度爲128位，頭髮、發展。" and script_of(there["instruction"]) == "traditional" and back == record


@pytest.mark.parametrize(
    "text", ["密码学是研究", "SM4 分组密码算法，分组长度 128 位", "it’s done", "дорогая", "naïve façade"]
)
@pytest.mark.parametrize("codec", ["gb18030", "cp1252", "mac_roman", "cp1251"])
def test_text_read_in_the_wrong_encoding_comes_back(text, codec):
    """Whatever 8-bit encoding the bytes were read in, they are found again, or nothing is changed."""
    try:
        garbled = text.encode().decode(codec)
    except UnicodeDecodeError:
        return

    assert repaired(garbled) in (text, garbled)


def test_what_is_lost_does_not_end_a_character_that_never_was():
    """U+FFFD has bytes of its own in GB18030; the first of them made 〄 of the half of a full stop."""
    garbled = "SM4是分组密码。".encode().decode("gbk", "replace")

    assert repaired(garbled) == "SM4鏄\ufffd分组密码銆\ufffd"


def test_collected_mojibake_is_repaired_and_sound_text_left_alone(shared_data):
    """Of the published cases in real texts more than half come back exactly; of those that only look garbled none is changed for
    the worse."""

    def cases(name):
        return json.loads((shared_data / "ftfy" / f"{name}.json").read_text("utf-8"))

    wild = [case for case in cases("in-the-wild") if case["expect"] == "pass" and case["original"] != case["fixed"]]
    right = sum(repaired(case["original"]) == case.get("fixed-encoding", case["fixed"]) for case in wild)
    negative = [case for case in cases("negative") if case["label"].startswith("Negative")]

    assert right >= 0.5 * len(wild)
    assert [case["original"] for case in negative if looks_garbled(case["original"])] == []


def test_width_and_wholeness_change_nothing_else():
    """Each transformation does one thing."""
    assert half_width("Ａ，①") == "A，①" and whole_characters("⼯ﬁＡ") == "工fiＡ"


def test_codes_of_checks_and_fixes_are_apart():
    """A fix repairs characters; what a check finds in the meaning is nobody's to fix."""
    assert {offer.code for offer in offers(RAW)}.isdisjoint(CHECKS) and isinstance(offers(RAW)[0], Offer)

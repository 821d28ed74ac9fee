"""Chinese text: made uniform without changing words, cut as jieba cuts it, damage seen."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.chinese import invisible_characters, language_shares, main_language
from data.fixes import applied, offers
from data.mojibake import looks_garbled
from data.reading import read_file

ODD = [*"\u200b\ufeff\u202e\u200d\ufe0f\u0301\r\n\x07eＡ１　，密😀🏽⚠#\u1100\u1161"]


def all_fixed(text):
    """All fixes taken, and again: what lies between a letter and its accent must go before the two are offered as one."""
    raw = {"text": text}
    for _ in range(2):
        raw = applied(raw, offers(raw))
    return raw["text"]


@pytest.mark.parametrize(
    ("text", "uniform"),
    [
        ("ＳＭ２　算法１２８", "SM2 算法128"),
        ("密码，学。（是）", "密码，学。（是）"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("密\u200b钥\ufeff管\u00ad理\u202e", "密钥管理"),
        ("cafe\u0301", "café"),
        ("cafe\u200b\u0301", "café"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3", "👨\u200d👩\u200d👧 ❤\ufe0f 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_text_is_made_uniform_and_keeps_its_words(text, uniform):
    """Letters and digits are half-width, punctuation stays Chinese, emoji stay whole, the invisible goes."""
    assert all_fixed(text) == uniform


@given(st.lists(st.sampled_from(ODD), max_size=10).map("".join))
def test_what_is_uniform_stays_as_it_is(text):
    """Once is enough: a second time changes nothing, and nothing invisible is left."""
    uniform = all_fixed(text)

    assert all_fixed(uniform) == uniform == unicodedata.normalize("NFC", uniform)
    assert invisible_characters(uniform) == []


def test_invisible_characters_are_named_at_their_places():
    """A person is told what to delete and where."""
    assert invisible_characters("密\u200b钥\u202eabc\x07") == [(1, "ZERO WIDTH SPACE"), (3, "RIGHT-TO-LEFT OVERRIDE"), (7, "U+0007")]


@pytest.mark.parametrize(
    "text",
    [
        "密码学是研究".encode().decode("gb18030", "replace"),
        "问：" + "分组密码算法".encode().decode("gbk", "ignore") + "？",
        "密码".encode().decode("latin-1"),
        "IT’S café".encode().decode("cp1252", "ignore"),
        "数据\ufffd\ufffd",
        "锟斤拷锟斤拷",
    ],
)
def test_text_decoded_wrongly_is_seen(text):
    """UTF-8 read as GBK or Latin, and what is left of lost text."""
    assert looks_garbled(text)


@pytest.mark.parametrize(
    "text", ["", "密码学是研究信息保密的科学", "café naïve Ünïcödé", "“quoted” – dash…", "VOCÊ…", "aí´´", "€20 £5", "Москва 東京 서울"]
)
def test_sound_text_of_any_language_is_not_called_garbled(text):
    """A false alarm in every other record would hide the true one."""
    assert not looks_garbled(text)


@pytest.mark.parametrize("name", ["belle_eval_set.json", "alpaca_zh_demo.json", "huanhuan.json", "alpaca_en_demo.json"])
def test_real_files_are_not_called_garbled(shared_data, name):
    """Thousands of sound records give no false alarm but for a replacement character."""
    texts = [turn.content for record in read_file(shared_data / name).records for turn in record.conversation.turns]

    assert [text for text in texts if looks_garbled(text) and "\ufffd" not in text] == []


def test_collected_mojibake_is_mostly_seen(shared_data):
    """Two of three texts that were UTF-8 read as cp1252 (rare letters are given up), and none of those that only look like it."""
    cases = [case for case in json.loads((shared_data / "ftfy" / "in-the-wild.json").read_text("utf-8")) if case.get("expect") == "pass"]
    garbled = [case for case in cases if case["original"].encode("cp1252", "ignore").decode("utf-8", "ignore") == case["fixed"]]
    sound = json.loads((shared_data / "ftfy" / "negative.json").read_text("utf-8"))

    assert len(garbled) > 10 and sum(looks_garbled(case["original"]) for case in garbled) >= 2 / 3 * len(garbled)
    assert [case["original"] for case in sound if case["label"].startswith("Negative") and looks_garbled(case["original"])] == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("密码学 is fun", "zh"),
        ("The 密钥 is a secret value", "en"),
        ("これは暗号です", "ja"),
        ("鲜の每日牛奶，天天新鲜好喝", "zh"),
        ("암호학", "ko"),
        ("шифр", "ru"),
    ],
)
def test_the_language_of_most_units_comes_first(text, first):
    """A word of an alphabet weighs as much as a character; one の makes no Japanese of a Chinese text."""
    shares = language_shares(text)

    assert next(iter(shares)) == first and sum(shares.values()) == pytest.approx(1)


def test_text_without_letters_has_no_language():
    """Digits and punctuation belong to none."""
    assert language_shares("123，。!?") == {}


@given(st.lists(st.sampled_from("中文字abC ，。12の3カяжо한é…Ａ"), max_size=60).map("".join), st.sampled_from([0.0, 0.6, 0.9]))
def test_what_is_surely_chinese_is_what_counting_all_units_says(text, share):
    """The short way never decides otherwise."""
    language, part = next(iter(language_shares(text).items()), ("", 0.0))

    assert main_language(text, share) == (language if part >= share else "")

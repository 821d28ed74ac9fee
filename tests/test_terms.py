"""Cryptography terms: found whole, named once, at exact offsets."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.term_list import entries
from data.terms import find_terms


def _found(text):
    return [(term.text, term.name, term.category) for term in find_terms(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SM4分组密码算法", [("SM4分组密码算法", "SM4", "symmetric")]),
        ("智能密码钥匙应用接口", [("智能密码钥匙应用接口", "智能密码钥匙应用接口", "device")]),
        ("云服务器密码机和密码机", [("云服务器密码机", "云服务器密码机", "device"), ("密码机", "密码机", "device")]),
        ("AES-256-GCM", [("AES-256-GCM", "AES-256-GCM", "algorithm")]),
        ("用SM2签名，用SM4-CBC加密", [
            ("SM2", "SM2", "public_key"), ("签名", "签名", "signature"),
            ("SM4-CBC", "SM4-CBC", "algorithm"), ("加密", "加密", "general"),
        ]),
        ("SHA-512/256、HMAC-SM3、RSA-2048", [
            ("SHA-512/256", "SHA-512/256", "algorithm"), ("HMAC-SM3", "HMAC-SM3", "algorithm"), ("RSA-2048", "RSA-2048", "algorithm"),
        ]),
    ],
)  # fmt: skip
def test_the_longest_name_wins(text, found):
    """A name inside a longer one is not reported beside it."""
    assert _found(text) == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GB/T 39786-2021", "GB/T 39786-2021"),
        ("GB/T39786—2021", "GB/T 39786-2021"),
        ("GB / T 39786 – 2021", "GB/T 39786-2021"),
        ("ＧＢ／Ｔ　３９７８６－２０２１", "GB/T 39786-2021"),
        ("GB/T 32918.2-2016", "GB/T 32918.2-2016"),
        ("GM/T 0012", "GM/T 0012"),
        ("GM/T 0054-2018", "GM/T 0054-2018"),
        ("GB 17859-1999", "GB 17859-1999"),
        ("RFC8446", "RFC 8446"),
        ("FIPS PUB 140-3", "FIPS 140-3"),
        ("PKCS #7", "PKCS#7"),
        ("NIST SP 800-38D", "NIST SP 800-38D"),
        ("ISO/IEC 18033-3:2010", "ISO/IEC 18033-3:2010"),
    ],
)
def test_every_way_of_writing_a_standard_gives_one_name(text, name):
    """Spaces, dashes and widths differ from text to text; the name does not, and the match is the whole of it."""
    (term,) = find_terms(f"依据{text}，")

    assert (term.text, term.name, term.category, term.standard) == (text, name, "standard", name)


@pytest.mark.parametrize("text", ["ASM2", "SM25", "SM2x", "_SM2", "SM2_", "description", "mac", "Destination", "RSAs", "MACHINE", "des"])
def test_a_name_inside_a_longer_latin_word_is_none(text):
    """`SM2` in `SM25` and `des` in a sentence are not terms."""
    assert find_terms(f"说明 {text} 。") == []


@pytest.mark.parametrize(("text", "name"), [("采用SM2进行", "SM2"), ("(SM2)", "SM2"), ("SM2、", "SM2"), ("ｓｍ２", "SM2"), ("sm2", "SM2")])
def test_chinese_around_a_latin_name_does_not_hide_it(text, name):
    """No space is needed between Chinese and a name, nor capitals in a name that is no word, nor half width."""
    assert [term.name for term in find_terms(text)] == [name]


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("0123456789abcdeffedcba9876543210", "hex"),
        ("681EDF34D206965E86B3E94F536E4246", "hex"),
        ("0xAB", "hex"),
        ("MEUCIQDx7kq0a1b2c3d4e5f6Zw==", "base64"),
    ],
)
def test_keys_and_signatures_in_the_text_are_seen(text, category):
    """Hex and Base64 values are one term each, not the names that happen to be in them."""
    assert [(term.text, term.category) for term in find_terms(f"值为 {text}。")] == [(text, category)]


@pytest.mark.parametrize(
    "text", ["12345678901234567890", "internationalization", "https://example.com/Documents/GitHubProject/README", "ABCDEFGH"]
)
def test_numbers_words_and_paths_are_no_values(text):
    """What has no digit among letters, or no letter among digits, is no key."""
    assert [term for term in find_terms(text) if term.category in ("hex", "base64")] == []


@pytest.mark.parametrize("piece", ["/", "a1/", "A1b/", "0x", "deadbeef1", "GB/T ", "SM4-", "密码"])
def test_long_runs_take_linear_time(piece):
    """A cell of 200,000 characters is gone through once; quadratic looking ahead would take hours."""
    text = piece * (200_000 // len(piece))

    assert all(term.text == text[term.start : term.end] for term in find_terms(text))


PIECES = ["SM2", "sm4-gcm", "ＳＭ３", "GB/T 39786—2021", "密钥", "密钥管理系统", "HMAC", *"İéß𝒜ǅﬃ的 ，-a1"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_offsets_are_exact_whatever_stands_before(text):
    """Letters that grow or shrink in lower case shift nothing; terms come in order and never overlap."""
    terms = find_terms(text)

    assert all(text[term.start : term.end] == term.text != "" for term in terms)
    assert all(one.end <= other.start for one, other in pairwise(terms))


def test_no_name_belongs_to_two_terms():
    """The scanner would give a doubled name to whichever term stands last."""
    counted = Counter(name.lower() for entry in entries() for name in entry.names)

    assert [name for name, count in counted.items() if count > 1] == []


def test_each_name_of_the_list_is_found_whole():
    """What stands in the list is what the scanner finds, under the term's one name."""
    listed = [(name, entry.name, entry.category) for entry in entries() for name in entry.names]

    assert [_found(f"{name}、SM4")[:-1] for name, _, _ in listed] == [[term] for term in listed]


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("SM2", "GB/T 32918.1-2016"), ("SM3", "GB/T 32905-2016"), ("SM4", "GB/T 32907-2016"), ("SM9", "GB/T 38635.1-2020"),
        ("祖冲之算法", "GB/T 33133.1-2016"), ("密评", "GB/T 43206-2023"), ("TLCP", "GB/T 38636-2020"), ("AES", "FIPS 197"),
        ("ML-KEM", "FIPS 203"), ("P-256", "NIST SP 800-186"), ("SKF接口", "GB/T 35291-2017"), ("SDF接口", "GB/T 36322-2018"),
    ],
)  # fmt: skip
def test_terms_know_their_standard(name, standard):
    """The standards are facts that an answer is checked against."""
    assert find_terms(name)[0].standard == standard


def test_national_standards_of_the_list_exist(shared_data):
    """Each GB/T number but two more general ones is in the published list of cryptography standards."""
    lines = (shared_data / "crypto_standards.jsonl").read_text(encoding="utf-8").splitlines()
    published = {json.loads(line)["id"].replace("—", "-") for line in lines}
    named = {entry.standard for entry in entries() if entry.standard.startswith("GB/T")}

    assert named - published == {"GB/T 17901.1-2020", "GB/T 22239-2019"}


def test_published_numbers_of_standards_are_found_whole(shared_data):
    """Parts and long dashes included, as the publisher writes them."""
    for line in (shared_data / "crypto_standards.jsonl").read_text(encoding="utf-8").splitlines():
        standard = json.loads(line)
        (term, *_) = find_terms(standard["id"])
        assert term.text == standard["id"] and term.category == "standard"

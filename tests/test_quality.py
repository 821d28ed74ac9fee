"""Quality: each check finds its case, says where, and leaves sound records alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.conversation import Conversation, Turn
from data.quality import CHECKS, findings
from data.reading import read_file
from data.text_checks import DAMAGE, look_at_texts
from tests.conftest import PROJECT

SYSTEM = "你是一位严谨的密码学助教，先思考再回答。"
QUESTION = "请解释对称密码与公钥密码的区别，并各举两个算法作为例子说明。"
ANSWER = "对称密码加密和解密用同一密钥，例如 SM4 与 AES；公钥密码用一对密钥，例如 SM2 与 RSA。"
ENGLISH = "Symmetric ciphers use one key for both directions, such as AES and DES, while public key systems use a pair of two keys."


def _codes(answer=ANSWER, question=QUESTION, reasoning=None, system=""):
    turns = (Turn("user", question), Turn("assistant", answer, reasoning))
    return [finding.code for finding in findings(Conversation(turns, system))]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ({"answer": "是。"}, "short_answer"),
        ({"answer": "密" * 9 + "".join(map(str, range(6000)))}, "long_answer"),
        ({"answer": "加密就是把明文变成密文。" * 30}, "repetition"),
        ({"answer": "先说结论，" + "".join(map(chr, range(0x4E00, 0x4E40))) + "密钥" * 200}, "repetition"),
        ({"answer": "很抱歉，我无法回答这个问题，请换一个问题。"}, "refusal"),
        ({"answer": "作为一个人工智能语言模型，我没有个人观点。"}, "refusal"),
        ({"answer": "I'm sorry, but I can't help with that.", "question": "How?"}, "refusal"),
        ({"answer": ENGLISH}, "wrong_language"),
        ({"reasoning": ENGLISH}, "thinking_language"),
        ({"reasoning": ANSWER}, "thinking_is_answer"),
        ({"answer": QUESTION + ANSWER}, "prompt_in_answer"),
        ({"answer": SYSTEM + ANSWER, "system": SYSTEM}, "prompt_in_answer"),
        ({"answer": ANSWER + "<|im_end|>"}, "template_in_text"),
        ({"question": "### Instruction:\n" + QUESTION}, "template_in_text"),
        ({"answer": ANSWER + "\nHuman: 还有吗？"}, "template_in_text"),
    ],
)  # fmt: skip
def test_each_fault_is_found_and_alone(case, code):
    """One fault gives one finding, with its own code."""
    assert set(_codes(**case)) == {code}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"answer": "42", "reasoning": "6×7=42。"},
        {"answer": "128 位"},
        {"answer": ENGLISH, "question": "把“对称密码用同一密钥，公钥密码用一对密钥”翻译成英文，注意术语。"},
        {"answer": "```python\nprint('hello')\nfor number in range(10): print(number)\n```", "question": "写一段程序，打印十个数字。"},
        {"answer": "不能。对抗者无法在多项式时间内分解模数，所以私钥仍是安全的。"},
        {"answer": "\n".join(f"{n} mod 7 = {n % 7}" for n in range(60))},
        {"answer": "RSA 中的 n 是两个大素数之积。" * 2},
    ],
)  # fmt: skip
def test_sound_records_give_no_finding(case):
    """Short answers after thinking, translations, code, tables and the word 无法 in an explanation are fine."""
    assert _codes(**case) == []


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300), st.none() | st.text(max_size=100))
def test_any_text_can_be_checked(question, answer, reasoning):
    """Nothing a record may hold makes a check fail, and every code is explained."""
    assert set(_codes(answer, question, reasoning)) <= CHECKS.keys()


@pytest.mark.parametrize("piece", ["[", "\n#", "抱歉", "abc ", "密码", "<|im_"])
def test_long_texts_take_linear_time(piece):
    """A cell of 200,000 characters is checked at once."""
    text = piece * (200_000 // len(piece))

    assert "long_answer" in _codes(text, text)


def test_the_bundled_set_is_clean():
    """What is shipped passes its own checks."""
    found = look_at_texts(read_file(PROJECT / "data" / "bundled" / "crypto_zh.jsonl").records)

    assert found.remarks == {}


def test_findings_become_faults_with_line_field_and_record(tmp_path):
    """The report and the screen need to know where; codes of damage are explained like those of quality."""
    path = tmp_path / "data.jsonl"
    first = '{"instruction": "GB/T 39768-2021 是什么标准？", "output": "是ＳＭ４的标准。"}\n'
    path.write_text(first + '{"instruction": "q<think>", "output": "＜think＞好的，没问题"}\n', encoding="utf-8")
    remarks = look_at_texts(read_file(path).records).remarks

    assert [(fault.code, fault.line, fault.record) for fault in remarks[0]] == [("full_width", 1, 0), ("unknown_standard", 1, 0)]
    assert [fault.field for fault in remarks[0]] == ["turn 2", "turn 1"]
    assert "→" in remarks[0][0].text and "GB/T 39786-2021" in remarks[0][1].text
    assert {(fault.code, fault.field) for fault in remarks[1]} == {("tag_in_question", "turn 1"), ("odd_tag", "turn 2")}
    assert {fault.code for faults in remarks.values() for fault in faults} <= DAMAGE.keys() | CHECKS.keys()

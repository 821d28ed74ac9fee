"""Answers graded: the value counts, its formatting does not, and what is unclear is unreadable."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.exercises.answer import Bezout, Bits, Bytes, Choice, Letters, Number, Point, Text
from data.exercises.generation import generate
from data.exercises.grading import REASONS, grade

D = (Number("d", 27, 40),)
KEY = (Number("n", 55), Number("φ", 40), Number("d", 27, 40))
R = (Point("R", (6, 3)),)
INFINITY = (Point("R", None),)
LETTERS = (Letters("密文", "NMGLR"),)
BYTES = (Bytes("密文", "2C82"),)
BITS = (Bits("输出", "0100011110"),)
BASE64 = (Text("Base64", "SGk="),)
CHOICE = (Choice("结论", "不合法", ("合法", "不合法")),)
PAIR = (Number("gcd", 3), Bezout("(x, y)", (-1, 2), 183, 93, 3))

RIGHT = [
    (D, "<think>d=5</think>答案：d = 27"),
    (D, "27"),
    (D, "答案是 27。"),
    (D, "所以 d ≡ 27 (mod 40)"),
    (D, r"最终答案：$\boxed{27}$"),
    (D, r"The answer is $\boxed{d = 27}$."),
    (D, "**答案：** d＝２７"),
    (D, "先设 d = 3，试到 d = 27。"),
    (D, "答案：d = 3 × 9 = 27"),
    (D, "答案\n27"),
    (D, "答案：27\n\n验算：3 × 27 = 81"),
    (D, "</thinking>3×27=81，因此 d=27"),
    (D, "答案：d = 27，验算 3 × 27 = 81 ≡ 1 (mod 40)"),
    (D, "答案：27（mod 40）"),
    (D, "答案：d 的值是 27"),
    (D, "答案：d = 27（因为 3×27 = 81 ≡ 1）"),
    (D, "答案：d = 27 因为 3 × 27 = 81"),
    (D, "答案：d = 27 (mod 40)，即 27"),
    (KEY, "答案：(n, φ, d) = (55, 40, 27)"),
    (D, "答案：d = 5\n更正，答案：d = 27"),
    ((Number("x", 1234),), "答案：1,234"),
    (KEY, "答案：n = 55，φ = 40，d = 27"),
    (KEY, "答案：n=55, φ(n)=40, d=27"),
    (KEY, "答案：(55, 40, 27)"),
    (KEY, "答案：55，40，27"),
    (KEY, r"答案：$n = 55, \varphi(n) = 40, d = 27$"),
    (R, "答案：R = (6, 3)"),
    (R, "答案：（6，3）"),
    (INFINITY, "答案：R = 无穷远点"),
    (INFINITY, "答案：R = O"),
    (LETTERS, "答案：密文 = nmglr"),
    (LETTERS, "Answer: the ciphertext is NMGLR"),
    (LETTERS, "答案：N M G L R"),
    (BYTES, "答案：2c82"),
    (BYTES, "答案：密文 = 0x2C, 0x82"),
    (BYTES, "答案：2C:82"),
    (BYTES, "答案：[0x2C, 0x82]"),
    (BYTES, "答案：密文为 2C 82（十六进制）。"),
    (BITS, "答案：0100 0111 10"),
    (BITS, "答案：输出 = 0,1,0,0,0,1,1,1,1,0"),
    (BASE64, "答案：Base64 编码是 `SGk=`"),
    (CHOICE, "答案：结论 = 不合法"),
    (CHOICE, "该填充不合法。"),
    (PAIR, "答案：gcd = 3，(x, y) = (-1, 2)"),
    (PAIR, "答案：gcd(183, 93) = 3，x = -1，y = 2"),
    (PAIR, "答案：gcd = 3，(x, y) = (30, -59)"),
]
WRONG = [
    (D, "答案：28", "different"),
    (D, "答案：d = 67", "not_reduced"),
    (D, "答案：-13", "not_reduced"),
    (D, "答案：d = 81 mod 40 = 1", "different"),
    (D, "<think>d = 27</think>答案：d = 3", "different"),
    (D, "答案：d = 27\n不对，答案：d = 3", "different"),
    (KEY, "答案：n = 55，φ = 40，d = 28", "different"),
    (R, "答案：(6, 4)", "different"),
    (R, "答案：R = 无穷远点", "different"),
    (INFINITY, "答案：(6, 3)", "different"),
    (LETTERS, "密文是 NMGLS。", "different"),
    (BYTES, "答案：2C 83", "different"),
    (BITS, "答案：0100011111", "different"),
    (BASE64, "答案：Base64 = SGk", "different"),
    (CHOICE, "答案：合法", "different"),
    (PAIR, "答案：gcd = 3，(x, y) = (30, 59)", "different"),
]
UNREADABLE = [
    (D, "", "empty"),
    (D, "<think>d = 27</think>\n", "empty"),
    (D, "<think>d = 27", "unclosed_thinking"),
    (D, "</think>答案：27<thinking>再想想", "unclosed_thinking"),
    (D, "我不知道", "not_found"),
    (D, "答案：27 或 28", "several"),
    (D, "答案：d = 27，d = 28", "several"),
    (D, "答案：d = 27 或 28", "not_found"),
    (D, "答案：d = 27 or maybe 28", "not_found"),
    (D, "答案：d = 27 + 1", "not_found"),
    (D, "答案：d 不是 27", "denied"),
    (D, "答案：d ≠ 27", "denied"),
    (D, "答案：d = 3^3", "not_found"),
    (D, "答案：d = " + "9" * 6000, "not_found"),
    (KEY, "答案：n = 55，d = 27", "not_found"),
    (KEY, "答案：n = 55，m = 40，d = 27", "not_found"),
    (R, "答案：6 和 3", "not_found"),
]


@pytest.mark.parametrize(("expected", "text"), RIGHT, ids=[text for _, text in RIGHT])
def test_the_right_value_is_right_in_any_dress(expected, text):
    """Spaces, full-width characters, LaTeX, Markdown, units of modulus and derivations do not matter."""
    assert grade(expected, text).state == "right"


@pytest.mark.parametrize(("expected", "text", "reason"), WRONG, ids=[text for _, text, _ in WRONG])
def test_another_value_is_wrong_with_what_was_read(expected, text, reason):
    """And the verdict says whether it was congruent but not reduced."""
    verdict = grade(expected, text)

    assert (verdict.state, verdict.reason) == ("wrong", reason)
    assert verdict.seen


@pytest.mark.parametrize(("expected", "text", "reason"), UNREADABLE, ids=[text[:30] for _, text, _ in UNREADABLE])
def test_what_is_unclear_is_unreadable(expected, text, reason):
    """Neither right nor wrong is guessed."""
    verdict = grade(expected, text)

    assert (verdict.state, verdict.reason) == ("unreadable", reason)


def test_thinking_is_never_graded():
    """The right value only in the thinking is no answer; a wrong one there does no harm."""
    for tag in ("think", "thinking"):
        assert grade(D, f"<{tag}>答案：27</{tag}>答案：5").state == "wrong"
        assert grade(D, f"<{tag}>答案：5</{tag}>答案：27").state == "right"


def test_the_next_exercise_s_answer_is_wrong():
    """Graded against another exercise of its own family, an answer is right only where both expect the same."""
    for family in ("power", "rsa_key", "curve_addition", "mode_encrypt", "affine_decrypt", "base64_encode", "lfsr_output"):
        exercises = list(generate(40, 2, "train", [family]))
        for one, other in pairwise(exercises):
            same = [value.value for value in one.expected] == [value.value for value in other.expected]

            assert (grade(one.expected, other.output).state == "right") == same


@given(st.text(max_size=300))
def test_any_text_gets_a_verdict(text):
    """Whatever a model says, grading never fails and gives a known reason."""
    for expected in (D, KEY, R, INFINITY, LETTERS, BYTES, BITS, BASE64, CHOICE, PAIR):
        verdict = grade(expected, text)

        assert verdict.state in ("right", "wrong", "unreadable")
        assert verdict.reason in REASONS


PIECES = ["(", "1,", "0 1 ", "\\boxed{", "x=", "d = 2 ", " ", "\n", "答案：", "<think>", "AB ", "2C:", "mod ", "(1, ", "d(", "**"]


@pytest.mark.parametrize("piece", PIECES)
def test_a_hostile_text_does_not_hang_the_grader(piece):
    """100,000 characters of anything repeated get a verdict, where a pattern that backtracks would never end."""
    for expected in (D, KEY, R, LETTERS, BYTES, BITS, BASE64, CHOICE, PAIR):
        assert grade(expected, piece * (100_000 // len(piece))).state in ("right", "wrong", "unreadable")


FORMS = ["答案：{}", "答案：x = {}", "x={}", "$x \\equiv {} \\pmod{{7}}$", "答案：**{}**。", "\\boxed{{{}}}"]


@given(st.integers(-(10**9), 10**9), st.sampled_from(FORMS))
def test_any_integer_is_read_back(number, form):
    """In every usual form."""
    assert grade((Number("x", number),), form.format(number)).state == "right"
    assert grade((Number("x", number),), form.format(number + 1)).state == "wrong"

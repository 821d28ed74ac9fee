"""Exercises: exact in every line, the same everywhere, apart by part; answers recomputed here without the generator's code."""

import base64
import json
import math
import re
import subprocess
import sys
from collections import Counter
from itertools import islice

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.exercises.dice import Dice
from data.exercises.exercise import LEVELS, PARTS, compose, identify, part_of
from data.exercises.generation import FAMILIES, generate
from data.exercises.grading import grade
from data.exercises.numbers import PRIMES_BELOW, euclid, factorise, invert, is_prime, power
from data.reading import read_file
from tests.conftest import PROJECT
from tests.working import Working

EACH = sorted(FAMILIES)
PER_FAMILY = 40


def made(name: str, count: int = PER_FAMILY):
    return list(generate(count, seed=7, part="train", families=[name]))


# Lines in words, which hold nothing to compute: headings before a computation, and what is read off the line before.
IN_WORDS = re.compile(r".*：|全部相等|有不相等的字节|两条密文异或，密钥抵消.*|连起来是 [A-Z]+")


@pytest.mark.parametrize("name", EACH)
def test_every_line_of_working_holds(name):
    """Each line of the thinking is recomputed by an evaluator of the tests' own; so is what the closing remark claims."""
    for exercise in made(name):
        thinking, _, answer = exercise.output.removeprefix("<thinking>\n").partition("\n</thinking>\n\n")
        working = Working()
        for line in thinking.splitlines():
            assert working.check(line) or IN_WORDS.fullmatch(line), line
        working.finish()
        for line in answer.splitlines():
            assert working.check(line) >= 0 if "答案" not in line and "解是" not in line else True


@pytest.mark.parametrize("name", EACH)
def test_its_own_answer_is_graded_right(name):
    """What the generator writes, the grader reads: for every family, level and phrasing."""
    states = Counter(grade(exercise.expected, exercise.output).state for exercise in made(name))

    assert states == {"right": PER_FAMILY}


@pytest.mark.parametrize("name", EACH)
def test_the_answer_is_what_an_independent_computation_gives(name):
    """From the question's parameters by other means than the generator's."""
    for exercise in made(name):
        p = exercise.parameters
        values = {value.name: value.value for value in exercise.expected}

        assert RECOMPUTED[name](p, values), exercise.instruction


def _bezout(p, values):
    x, y = values["(x, y)"]
    return values["gcd"] == math.gcd(p["a"], p["b"]) == p["a"] * x + p["b"] * y


def _first(condition, top):
    return next(number for number in range(top) if condition(number))


def _remainders(p, values):
    pairs = list(zip(p["moduli"], p["remainders"], strict=True))
    return 0 <= values["x"] < math.prod(p["moduli"]) and all(values["x"] % modulus == remainder for modulus, remainder in pairs)


def _rsa_key(p, values):
    phi = sum(math.gcd(number, values["n"]) == 1 for number in range(values["n"]))
    return values["n"] == p["p"] * p["q"] and values["φ"] == phi and values["d"] * p["e"] % phi == 1 and 0 < values["d"] < phi


def _repeated(base, exponent, modulus):
    """A power by plain repeated multiplication."""
    value = 1
    for _ in range(exponent):
        value = value * base % modulus
    return value


def _sum_of_points(p, values):
    """The chord or tangent cuts the curve in P, Q and -R and nowhere else: checked without the slope's formula."""
    modulus, a, b, (x1, y1), (x2, y2), result = p["p"], p["a"], p["b"], p["P"], p["Q"], values["R"]
    if any((y * y - x**3 - a * x - b) % modulus for x, y in ((x1, y1), (x2, y2))):
        return False
    if result is None:
        return x1 == x2 and (y1 + y2) % modulus == 0
    x3, y3 = result
    through = [(x2 - x1, y2 - y1), (x3 - x1, -y3 - y1)]
    lines = (slope for slope in range(modulus) if all((dy - slope * dx) % modulus == 0 for dx, dy in through))
    # Along y = y1 + m (x - x1) the cubic x^3 + ax + b - y^2 must be (x - x1)(x - x2)(x - x3) at every x.
    return any(
        all(
            ((x - x1) * (x - x2) * (x - x3) - (x**3 + a * x + b - (y1 + slope * (x - x1)) ** 2)) % modulus == 0
            for x in range(min(modulus, 8))
        )
        for slope in lines
    )


def _shift(text, shifts, sign):
    return "".join(chr((ord(letter) - 65 + sign * shifts[place % len(shifts)]) % 26 + 65) for place, letter in enumerate(text))


def _zigzag(text, rails):
    """The rail fence by a walking position."""
    rows, row, step = [""] * rails, 0, 1
    for letter in text:
        rows[row] += letter
        if not 0 <= row + step < rails:
            step = -step
        row += step
    return "".join(rows)


def _register(p, count):
    state, out = [int(bit) for bit in p["start"]], []
    for _ in range(count):
        out.append(state[0])
        state = [*state[1:], state[0] ^ state[p["tap"]]]
    return "".join(map(str, out))


def _period(p, values):
    size, long = len(p["start"]), _register(p, 200)
    return values["周期"] == _first(lambda shift: shift and long[shift : shift + size] == p["start"], 100)


def _xored(left, right):
    return bytes(a ^ right[place % len(right)] for place, a in enumerate(left)).hex().upper()


def _padded(p, values):
    result, data = bytes.fromhex(values["结果"]), bytes.fromhex(p["data"])
    fill = result[len(data) :]
    return result.startswith(data) and len(result) % p["block"] == 0 and set(fill) == {len(fill)} and 1 <= len(fill) <= p["block"]


def _padding(p, values):
    data = bytes.fromhex(p["data"])
    endings = [bytes([fill]) * fill for fill in range(1, p["block"] + 1)]
    return (values["结论"] == "合法") == any(data.endswith(ending) for ending in endings)


def _mode(p):
    """The cipher text, each mode as its defining equation."""
    mixed = {x: f"{x ^ int(p['key'], 16):08b}" for x in range(256)}
    table = {x: int(bits[3:] + bits[:3], 2) for x, bits in mixed.items()}
    data, chain, out = bytes.fromhex(p["data"]), int(p["iv"] or "0", 16), []
    for number, byte in enumerate(data):
        if p["mode"] == "ECB":
            out.append(table[byte])
        elif p["mode"] == "CBC":
            out.append(table[byte ^ (out[-1] if out else chain)])
        elif p["mode"] == "CFB":
            out.append(byte ^ table[out[-1] if out else chain])
        elif p["mode"] == "OFB":
            chain = table[chain]
            out.append(byte ^ chain)
        else:
            out.append(byte ^ table[(chain + number) % 256])
    return bytes(out).hex().upper()


RECOMPUTED = {
    "bezout": _bezout,
    "inverse": lambda p, v: v["x"] == _first(lambda x: p["a"] * x % p["m"] == 1, p["m"]),
    "power": lambda p, v: v["r"] == _repeated(p["a"], p["e"], p["m"]),
    "remainders": _remainders,
    "totient": lambda p, v: v["φ"] == sum(math.gcd(number, p["n"]) == 1 for number in range(p["n"])),
    "rsa_key": _rsa_key,
    "rsa_encrypt": lambda p, v: v["c"] == _repeated(p["m"], p["e"], p["p"] * p["q"]),
    "rsa_decrypt": lambda p, v: v["m"] == p["m"],
    "rsa_sign": lambda p, v: _repeated(v["s"], p["e"], p["p"] * p["q"]) == p["m"],
    "diffie_hellman": lambda p, v: (v["A"], v["B"], v["K"]) == (
        _repeated(p["g"], p["a"], p["p"]), _repeated(p["g"], p["b"], p["p"]), _repeated(v["A"], p["b"], p["p"])),
    "elgamal_encrypt": lambda p, v: (
        v["c1"] == _repeated(p["g"], p["k"], p["p"]) and v["c2"] == p["m"] * _repeated(v["c1"], p["x"], p["p"]) % p["p"]),
    "elgamal_decrypt": lambda p, v: 0 < v["m"] < p["p"] and v["m"] * _repeated(p["c1"], p["x"], p["p"]) % p["p"] == p["c2"],
    "curve_addition": _sum_of_points,
    "caesar_encrypt": lambda p, v: _shift(v["密文"], [p["key"]], -1) == p["text"],
    "caesar_decrypt": lambda p, v: v["明文"] == p["text"],
    "affine_encrypt": lambda p, v: all(
        (p["a"] * (ord(m) - 65) + p["b"] - (ord(c) - 65)) % 26 == 0 for m, c in zip(p["text"], v["密文"], strict=True)),
    "affine_decrypt": lambda p, v: v["明文"] == p["text"],
    "vigenere_encrypt": lambda p, v: _shift(v["密文"], [ord(letter) - 65 for letter in p["key"]], -1) == p["text"],
    "vigenere_decrypt": lambda p, v: v["明文"] == p["text"],
    "rail_fence_encrypt": lambda p, v: v["密文"] == _zigzag(p["text"], p["rails"]),
    "rail_fence_decrypt": lambda p, v: v["明文"] == p["text"],
    "xor": lambda p, v: v["密文"] == _xored(bytes.fromhex(p["data"]), bytes.fromhex(p["key"])),
    "one_time_pad": lambda p, v: v["密文"] == _xored(p["first"].encode(), bytes.fromhex(p["pad"])),
    "pad_reuse": lambda p, v: v["明文"] == p["second"],
    "lfsr_output": lambda p, v: v["输出"] == _register(p, p["count"]),
    "lfsr_period": _period,
    "pkcs7_pad": _padded,
    "pkcs7_check": _padding,
    "mode_encrypt": lambda p, v: v["密文"] == _mode(p),
    "mode_decrypt": lambda p, v: v["明文"] == p["data"],
    "hex_encode": lambda p, v: bytes.fromhex(v["十六进制"]).decode() == p["text"],
    "hex_decode": lambda p, v: v["文本"] == p["text"],
    "base64_encode": lambda p, v: base64.b64decode(v["Base64"], validate=True).decode() == p["text"],
    "base64_decode": lambda p, v: v["文本"] == p["text"],
}  # fmt: skip


SHOWN = {
    "caesar_decrypt": lambda p: _shift(p["text"], [p["key"]], 1),
    "affine_decrypt": lambda p: "".join(chr((p["a"] * (ord(letter) - 65) + p["b"]) % 26 + 65) for letter in p["text"]),
    "vigenere_decrypt": lambda p: _shift(p["text"], [ord(letter) - 65 for letter in p["key"]], 1),
    "rail_fence_decrypt": lambda p: _zigzag(p["text"], p["rails"]),
    "mode_decrypt": lambda p: bytes.fromhex(_mode(p)).hex(" ").upper(),
    "hex_decode": lambda p: p["text"].encode().hex(" ").upper(),
    "base64_decode": lambda p: base64.b64encode(p["text"].encode()).decode(),
    "rsa_decrypt": lambda p: str(_repeated(p["m"], p["e"], p["p"] * p["q"])),
    "pad_reuse": lambda p: bytes.fromhex(_xored(p["second"].encode(), bytes.fromhex(p["pad"]))).hex(" ").upper(),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_decryption_asks_about_the_cipher_text_of_its_parameters(name):
    """The text shown belongs to the answer: encrypting the answer with the question's key gives it back."""
    for exercise in made(name):
        assert SHOWN[name](exercise.parameters) in exercise.instruction


def test_train_and_test_never_share_a_question():
    """Neither an identity nor a question's own numbers: the wording is made equal before comparing."""
    asked = {}
    for part in PARTS:
        for seed in (1, 2):
            for exercise in generate(500, seed, part):
                family = FAMILIES[exercise.family]
                question = compose(family, exercise.difficulty, exercise.parameters).instruction
                assert exercise.part == part == part_of(identify(exercise.family, exercise.parameters))
                asked.setdefault((exercise.family, question), set()).add(exercise.id)

    assert all(len(ids) == 1 for ids in asked.values())


def test_an_exercise_keeps_its_part():
    """Identity and part are facts of the exercise; a change here would move published test exercises into training."""
    assert identify("inverse", {"a": 7, "m": 26}) == "b31c2babb235ecf7"
    assert [part_of(f"{number:016x}") for number in (0, 1, 9, 10)] == ["test", "train", "train", "test"]


def test_the_same_wishes_give_the_same_bytes_in_any_process():
    """Nothing depends on hash randomisation, the locale or the order of a set."""
    program = "import msgspec\nfrom data.exercises.generation import generate\nimport hashlib\n" \
              "print(hashlib.sha256(msgspec.json.encode(list(generate(400, 3, 'train')))).hexdigest())"  # fmt: skip
    outputs = {
        subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env={"PYTHONHASHSEED": seed, "LC_ALL": "C"}, capture_output=True,
                       text=True, check=True).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip

    assert outputs == {"f5914eded87dd38790dde366e91154d2ffbcece9fe4a64658c775bd8e018a3be"}


def test_no_exercise_comes_twice_and_a_longer_run_begins_with_the_shorter():
    """Ids are different; asking for more changes nothing of what came before."""
    long = list(generate(1500, 5, "train"))
    short = list(generate(700, 5, "train"))

    assert len({exercise.id for exercise in long}) == 1500
    assert long[:700] == short


def test_levels_make_harder_exercises():
    """The working grows with the level in every family: level 5 is longer on average than level 1."""
    for name in EACH:
        lengths = [sum(len(exercise.output) for exercise in islice(generate(12, 1, "train", [name], [level]), 12)) for level in (1, 5)]

        assert lengths[0] < lengths[1], name


def test_a_used_up_family_is_passed_over_and_too_few_is_an_error():
    """Small periods are few: the rest comes from the other family, and alone they end with a message that says how many there are."""
    both = list(generate(400, 1, "train", ["lfsr_period", "inverse"], [1]))

    assert len(both) == 400
    with pytest.raises(DataError, match=r"only \d+ different exercises"):
        list(generate(400, 1, "train", ["lfsr_period"], [1]))


@pytest.mark.parametrize(("families", "levels", "says"), [(["rsa"], [1], "rsa_key"), (["power"], [6], "1 to 5")])
def test_unknown_wishes_are_refused_at_once(families, levels, says):
    """Before anything is generated, with what there is."""
    with pytest.raises(DataError, match=says):
        generate(1, 1, "train", families, levels)


def test_the_records_are_training_data_as_they_are(tmp_path):
    """The reader takes every record, with its thinking and its difficulty, and finds no fault."""
    path = tmp_path / "made.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(exercise) + b"\n" for exercise in generate(340, 1, "train")))
    dataset = read_file(path)

    assert not dataset.faults
    assert len(dataset.records) == 340
    assert all(record.conversation.has_thinking for record in dataset.records)
    assert {record.conversation.difficulty for record in dataset.records} == set(map(str, LEVELS))


def test_every_family_has_several_phrasings_that_name_everything_asked():
    """At least three wordings, all of them different, and the last line says how to answer."""
    for name in EACH:
        exercise = made(name, 1)[0]
        questions = {compose(FAMILIES[name], 1, exercise.parameters, number).instruction for number in range(len(FAMILIES[name].phrasings))}

        assert len(questions) == len(FAMILIES[name].phrasings) >= 3
        assert all(question.splitlines()[-1].startswith("最后一行写：答案：") for question in questions)


@given(st.integers(1, 2**64), st.integers(), st.integers(1, 50))
def test_dice_stay_in_their_bounds(bound, seed, count):
    """Every draw is an integer from 0 to bound - 1."""
    dice = Dice(seed)

    assert all(0 <= dice.below(bound) < bound for _ in range(count))


def test_dice_are_fair():
    """Of 60,000 throws each face of ten comes up as often as chance allows (chi-squared below 40 at nine degrees of freedom)."""
    dice = Dice("fair")
    counts = Counter(dice.below(10) for _ in range(60_000))

    assert sum((counts[face] - 6000) ** 2 / 6000 for face in range(10)) < 40


@given(st.integers(2, 10**30), st.integers(1, 10**30))
def test_euclid_finds_divisor_and_coefficients(a, b):
    """For any a > b > 0, with a working whose every line holds."""
    a, b = max(a, b) + 1, min(a, b)
    divisor, x, y, steps = euclid(a, b)
    working = Working()

    assert divisor == math.gcd(a, b) == a * x + b * y
    assert all(working.check(step) or IN_WORDS.fullmatch(step) for step in steps)


@given(st.integers(0, 10**12), st.integers(1, 10**9), st.integers(2, 10**9))
def test_power_agrees_with_python(base, exponent, modulus):
    """And every line of its working holds."""
    done = power(base, exponent, modulus)

    assert done.value == pow(base, exponent, modulus)
    if base < 1000 and exponent < 500:
        assert all(Working().check(step) for step in done.steps)


@given(st.integers(2, 10**7))
def test_factors_multiply_back(number):
    """And each is prime."""
    factors = factorise(number)

    assert math.prod(prime**exponent for prime, exponent in factors) == number
    assert all(is_prime(prime) for prime, _ in factors)


def test_inverses_agree_with_the_vectors(shared_data):
    """Third-party vectors of modular inversion, up to hundreds of bits."""
    text = (shared_data / "wycheproof" / "gmsm_mod_inv_tests.txt").read_text(encoding="utf-8")
    vectors = [[int(number, 16) for number in found] for found in re.findall(r"ModInv = (\w+)\nA = (\w+)\nM = (\w+)", text)]
    usable = [(inverse, a % m, m) for inverse, a, m in vectors if m > 1]

    assert len(usable) > 15
    assert all(invert(a, m).value == inverse for inverse, a, m in usable)


def test_primality_agrees_with_the_vectors(shared_data):
    """Third-party vectors, pseudoprimes and Carmichael numbers among them; negative numbers are no primes here."""
    groups = json.loads((shared_data / "wycheproof" / "wycheproof_primality_test.json").read_text(encoding="utf-8"))["testGroups"]
    tests = [test for group in groups for test in group["tests"] if test["result"] != "acceptable"]

    numbers = [(int.from_bytes(bytes.fromhex(test["value"]), "big", signed=True), test) for test in tests]
    small = [(number, test) for number, test in numbers if number < PRIMES_BELOW]

    assert len(small) > 50
    assert all(is_prime(number) == (test["result"] == "valid") for number, test in small)


@settings(max_examples=200)
@given(st.integers(-999, 999), st.integers(0, 99), st.integers(1, 99), st.integers(0, 4))
def test_the_tests_own_evaluator_is_right(a, b, c, exponent):
    """Against Python's own arithmetic, and it refuses a false equality."""
    shown = f"({a})" if a < 0 else str(a)

    assert Working().evaluate(f"{shown} × {b} + {c} - {b}^{exponent}") == a * b + c - b**exponent
    assert Working().check(f"{shown} × {b} = {a * b} ≡ {a * b % c} (mod {c})") == 2
    with pytest.raises(AssertionError):
        Working().check(f"{shown} × {b} = {a * b + 1}")

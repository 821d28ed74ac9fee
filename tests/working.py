"""Recomputes the working of an exercise from its text alone: an evaluator of its own that shares no code with the generator."""

import math
import operator
import re
import string

_EQUATION = re.compile(r"[=≡]")
_MODULUS = re.compile(r"\(mod (\d+)\)")
_TOKEN = re.compile(r"0x[0-9A-F]+|\d+|<<<|>>>|[()+\-×÷^⊕]")
_NAME = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]\w*")
_LEVELS = (
    {"⊕": operator.xor, "<<<": lambda x, n: (x << n | x >> (8 - n)) & 0xFF, ">>>": lambda x, n: (x >> n | x << (8 - n)) & 0xFF},
    {"+": operator.add, "-": operator.sub},
    {"×": operator.mul, "÷": operator.floordiv},
)
_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_FACTS = (
    (r"(?<![\w])([A-Z])→(\d+)(?!\d| 是)", lambda letter, number: ord(letter) - 65 == int(number)),
    (r"= (\d+)→([A-Z])", lambda number, letter: ord(letter) - 65 == int(number)),
    (r"≡ (\d+) \(mod 26\)→([A-Z])", lambda number, letter: ord(letter) - 65 == int(number)),
    (r"(.) 的 ASCII 是 0x(..)", lambda letter, byte: ord(letter) == int(byte, 16)),
    (r"= 0x(..)，对应 ASCII 字母 (.)", lambda byte, letter: ord(letter) == int(byte, 16)),
    (r"^(.)：ASCII (\d+)，", lambda letter, number: ord(letter) == int(number)),
    (r"= (\d+)，写作 (..)$", lambda number, byte: int(number) == int(byte, 16)),
    (r"^([0-9A-F]{2})：.* = (\d+)，", lambda byte, number: int(number) == int(byte, 16)),
    (r"= (\d+)，ASCII 字符 (.)$", lambda number, letter: ord(letter) == int(number)),
    (r"^(\w+)：比特 ([01]+)，", lambda text, bits: bits == "".join(f"{ord(letter):08b}" for letter in text)),
    (r"([01]{6}) 是 (\d+)→(.)", lambda bits, number, sign: int(bits, 2) == int(number) and _BASE64[int(number)] == sign),
    (r"(?:^|，)(.)→(\d+) 是 ([01]{6})", lambda sign, number, bits: int(bits, 2) == int(number) and _BASE64[int(number)] == sign),
    (r"([01]{8}) 是 0x(..)，字符 (.)", lambda bits, byte, letter: int(bits, 2) == int(byte, 16) == ord(letter)),
    (r"是 0x(..)，即 (\d+)$", lambda byte, number: int(byte, 16) == int(number)),
    (r"每个填充字节都是 0x(..)$", lambda byte: 1 <= int(byte, 16) <= 16),
    (r"最后 (\d+) 个字节是 ([0-9A-F ]+)，应全为 (..)$", lambda n, tail, fill: len(tail.split()) == int(n) == int(fill, 16)),
    (r"填充值应在 1 到 (\d+) 之间，(\d+) 不在", lambda top, fill: not 1 <= int(fill) <= int(top)),
    (r"第 \d+ 栏有 (\d+) 个字母：([A-Z ]+)$", lambda n, letters: len(letters.split()) == int(n)),
    (r"^第 \d+ 步：反馈 ([01])，状态 [01]+([01])$", operator.eq),
    (r"^(\d+) 是素数$", lambda number: all(int(number) % divisor for divisor in range(2, int(number)))),
)


class Working:
    """Lines of one exercise, read in order; names get the values the lines give them."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}

    def check(self, line: str) -> int:
        """Assert every equality and every fact in the line; return how many there were."""
        if start := re.match(r"初态 ([01]+) 就是 s0 到 s(\d+)$", line):
            assert len(start[1]) == int(start[2]) + 1
            self._names |= {f"s{place}": int(bit) for place, bit in enumerate(start[1])}
            return 1
        return _check_facts(line) + sum(self._check_clause(clause) for clause in re.split(r"[，。；：]|→", line))

    def _check_clause(self, clause: str) -> int:
        """One chain such as `a × b = c ≡ d (mod m)`: neighbours joined by = are equal, by ≡ congruent."""
        if not _EQUATION.search(clause):
            return 0
        modulus = int(found[1]) if (found := _MODULUS.search(clause)) else None
        clause = _MODULUS.sub("", clause)
        signs, sides = _EQUATION.findall(clause), [_bare(side) for side in _EQUATION.split(clause)]
        last = self.evaluate(sides[-1])
        if _NAME.fullmatch(sides[0]) and sides[0] not in self._names:
            self._names[sides[0]] = last
        values = [self.evaluate(side) for side in sides]
        for sign, left, right in zip(signs, values, values[1:], strict=False):
            difference = left - right
            assert difference == 0 if sign == "=" else (modulus and difference % modulus == 0), clause
        return len(signs)

    def evaluate(self, text: str) -> int:
        """An expression of integers and known names with + - × ÷ ^ ⊕, rotations of bytes, gcd, φ and parentheses."""
        text = re.sub(r"gcd\((\d+), (\d+)\)", lambda found: str(math.gcd(int(found[1]), int(found[2]))), text)
        text = re.sub(r"φ\(([^()]+)\)", lambda found: str(_totient(self.evaluate(found[1]))), text)
        text = _NAME.sub(lambda found: str(self._names[found[0]]), text)
        tokens = _TOKEN.findall(text)
        assert "".join(tokens) == re.sub(r"\s", "", text), text
        value, rest = _binary(tokens, 0)
        assert not rest, text
        return value


def _check_facts(line: str) -> int:
    checked = 0
    for pattern, holds in _FACTS:
        for found in re.finditer(pattern, line):
            assert holds(*found.groups()), f"{found[0]!r} in {line!r}"
            checked += 1
    return checked


def _bare(side: str) -> str:
    """Without the Chinese words around an expression."""
    return re.sub(r"^[^\w(φ]*[\u4e00-\u9fff ]+(?=\S)|[\u4e00-\u9fff\s]+$", "", side).strip()


def _totient(number: int) -> int:
    return sum(math.gcd(number, other) == 1 for other in range(1, number + 1))


def _binary(tokens: list[str], level: int) -> tuple[int, list[str]]:
    if level == len(_LEVELS):
        return _power(tokens)
    value, tokens = _binary(tokens, level + 1)
    while tokens and tokens[0] in _LEVELS[level]:
        sign = tokens[0]
        other, tokens = _binary(tokens[1:], level + 1)
        value = _LEVELS[level][sign](value, other)
    return value, tokens


def _power(tokens: list[str]) -> tuple[int, list[str]]:
    if tokens[0] == "-":
        value, tokens = _power(tokens[1:])
        return -value, tokens
    value, tokens = _atom(tokens)
    if tokens and tokens[0] == "^":
        exponent, tokens = _power(tokens[1:])
        return value**exponent, tokens
    return value, tokens


def _atom(tokens: list[str]) -> tuple[int, list[str]]:
    if tokens[0] == "(":
        value, tokens = _binary(tokens[1:], 0)
        assert tokens[0] == ")"
        return value, tokens[1:]
    return int(tokens[0], 0), tokens[1:]

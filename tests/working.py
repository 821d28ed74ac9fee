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
_GOAL = re.compile(r"(\d+)\^(\d+) 模 (\d+)：$")
_INVERSE = re.compile(r"求 (\d+) 模 (\d+) 的逆元：$")
_LETTER = re.compile(r"([A-Z])→(\d+)：(.+?) = -?\d+(?: ≡ \d+ \(mod 26\))?→([A-Z])")


class Working:
    """Lines of one exercise, read in order; names get the values the lines give them, and headings say what must come out."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._goal: int | None = None
        self._inverse: tuple[str, str] | None = None
        self._rails: list[int] = []
        self._rows: list[str] = []
        self._states: list[str] = []
        self._offset: int | None = None

    def check(self, line: str) -> int:
        """Assert every equality and every statement in the line; return how many there were."""
        checked = self._check_heading(line) + self._check_register(line) + self._check_rails(line) + _check_line(line)
        checked += sum(self._check_clause(clause) for clause in re.split(r"[，。；：]|→", line) if clause and not line.endswith("："))
        if self._goal is not None and (end := re.search(r"[=≡] (\d+)(?: \(mod \d+\))?$", line)):
            self._last = int(end[1])
        return checked

    def finish(self) -> None:
        """Assert that the last heading's promise was kept."""
        if self._goal is not None:
            assert self._last == self._goal
        assert self._inverse is None

    def _check_heading(self, line: str) -> int:
        """`a^b 模 m：` announces the value of the line before the next heading, `求 a 模 m 的逆元：` the last line's factor."""
        if _GOAL.search(line) or _INVERSE.search(line) or re.match(r"(?:c2|m)：", line):
            self.finish()
            self._goal = None
        if goal := _GOAL.search(line):
            base, exponent, modulus = map(int, goal.groups())
            self._goal, self._last = pow(base, exponent, modulus), base % modulus
            return 1
        if wanted := _INVERSE.search(line):
            self._inverse = (wanted[1], wanted[2])
            return 1
        if self._inverse and (found := re.match(r"(?:检验：|(?=1 × 1 ))(\d+) × \d+ = .*?(?:\(mod (\d+)\)|模 (\d+) 的逆元)", line)):
            assert (found[1], found[2] or found[3]) == self._inverse, line
            self._inverse = None
        return 0

    def _check_register(self, line: str) -> int:
        """Outputs and states of a shift register follow each other, with the same taps all the time."""
        if start := re.fullmatch(r"初态 ([01]+) 就是 s0 到 s(\d+)", line):
            assert len(start[1]) == int(start[2]) + 1
            self._names |= {f"s{place}": int(bit) for place, bit in enumerate(start[1])}
            return 1
        if output := re.match(r"s(\d+) = s(\d+) ⊕ s(\d+) = ", line):
            number, tap, oldest = map(int, output.groups())
            assert number == len(self._names)
            self._offset = self._offset or tap - oldest
            assert tap - oldest == self._offset
            return 0
        if step := re.fullmatch(r"第 (\d+) 步：反馈 ([01])，状态 ([01]+)", line):
            self._states.append(step[3])
            assert int(step[1]) == len(self._states)
            assert step[3].endswith(step[2])
            assert len(self._states) < 2 or step[3][:-1] == self._states[-2][1:]
            return 1
        return 0

    def _check_rails(self, line: str) -> int:
        """A zigzag of rail numbers, the letters of each rail, and the text they make."""
        if path := re.fullmatch(r"之字形经过的栏号：([\d ]+)", line):
            self._rails = list(map(int, path[1].split()))
            top = max(self._rails)
            walk = [*range(1, top + 1), *range(top - 1, 1, -1)]
            assert self._rails == [walk[place % len(walk)] for place in range(len(self._rails))]
            return 1
        if row := re.fullmatch(r"第 (\d+) 栏(?:有 (\d+) 个字母)?：([A-Z ]+)", line):
            self._rows.append(row[3].replace(" ", ""))
            assert int(row[1]) == len(self._rows)
            assert len(self._rows[-1]) == self._rails.count(int(row[1])) == int(row[2] or len(self._rows[-1]))
            return 1
        if joined := re.fullmatch(r"依次连接各栏得 ([A-Z]+)", line):
            assert joined[1] == "".join(self._rows)
            return 1
        if read := re.fullmatch(r"按栏号顺序逐个取字母得 ([A-Z]+)", line):
            rows = [iter(row) for row in self._rows]
            assert read[1] == "".join(next(rows[rail - 1]) for rail in self._rails)
            return 1
        return 0

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


def _check_line(line: str) -> int:
    """Letters, codes and padding: the first kind of line that this one is, checked as a whole."""
    for pattern, holds in _LINES:
        if found := re.fullmatch(pattern, line):
            assert holds(*found.groups()), line
            return 1
    return 0


def _letter(letter: str, number: str, expression: str, result: str) -> bool:
    """A letter's number is used in the expression, and the result's number is the result."""
    value = Working().evaluate(expression)
    return ord(letter) - 65 == int(number) and number in re.findall(r"\d+", expression) and value % 26 == ord(result) - 65


def _key(word: str, pairs: str) -> bool:
    return pairs == "，".join(f"{letter}→{ord(letter) - 65}" for letter in word)


def _encoded(text: str, bits: str, sixes: str, equals: str | None) -> bool:
    """A group of Base64 from its letters: every segment of six bits, and the equals signs."""
    whole = "".join(f"{ord(letter):08b}" for letter in text)
    padded = whole + "0" * (-len(whole) % 6)
    pieces = [padded[place : place + 6] for place in range(0, len(padded), 6)]
    written = "，".join(f"{piece} 是 {int(piece, 2)}→{_BASE64[int(piece, 2)]}" for piece in pieces)
    return bits == whole and sixes == written and int(equals or 0) == 3 - len(text)


def _decoded(signs: str, octets: str) -> bool:
    """A group of Base64 to its letters."""
    letters = re.findall(r"(?:^|，)(.)→", signs)
    bits = "".join(f"{_BASE64.index(sign):06b}" for sign in letters)
    bytes_ = [bits[place : place + 8] for place in range(0, len(bits) // 8 * 8, 8)]
    numbers = "，".join(f"{sign}→{_BASE64.index(sign)} 是 {_BASE64.index(sign):06b}" for sign in letters)
    return signs == numbers and octets == "，".join(f"{one} 是 0x{int(one, 2):02X}，字符 {chr(int(one, 2))}" for one in bytes_)


_LINES = (
    (_LETTER.pattern, _letter),
    (r"密钥 ([A-Z]+) 循环使用：(.*)", _key),
    (r"(.) 的 ASCII 是 0x(..)，0x\2 ⊕ 0x.. = 0x..", lambda letter, byte: ord(letter) == int(byte, 16)),
    (
        r"0x.. ⊕ 0x.. = 0x(..)，0x(..) ⊕ 0x.. = 0x(..)，对应 ASCII 字母 (.)",
        lambda a, b, byte, letter: a == b and ord(letter) == int(byte, 16),
    ),
    (r"(.)：ASCII (\d+)，\d+ × 16 \+ \d+ = (\d+)，写作 (..)", lambda sign, a, b, byte: ord(sign) == int(a) == int(b) == int(byte, 16)),
    (r"(..)：\d+ × 16 \+ \d+ = (\d+)，ASCII 字符 (.)", lambda byte, number, sign: ord(sign) == int(number) == int(byte, 16)),
    (r"(\w+)：比特 ([01]+)，(.*?)(?:，补 (\d) 个等号)?", _encoded),
    (r"(.*)；按 8 位重分：(.*)", _decoded),
    (r"末字节是 0x(..)，即 (\d+)", lambda byte, number: int(byte, 16) == int(number)),
    (r"数据有 (\d+) 字节，(\d+) ≡ (\d+) \(mod (\d+)\)", lambda n, same, rest, block: n == same and int(n) % int(block) == int(rest)),
    (r"要补的字节数：\d+ - \d+ = (\d+)，每个填充字节都是 0x(..)", lambda number, byte: int(number) == int(byte, 16)),
    (r"最后 (\d+) 个字节是 ([0-9A-F ]+)，应全为 (..)", lambda n, tail, fill: len(tail.split()) == int(n) == int(fill, 16)),
    (r"填充值应在 1 到 (\d+) 之间，(\d+) 不在范围内", lambda top, fill: not 1 <= int(fill) <= int(top)),
    (r"(\d+) 是素数", lambda number: all(int(number) % divisor for divisor in range(2, int(number)))),
)


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

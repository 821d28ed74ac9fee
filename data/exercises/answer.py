"""What the answer of an exercise is: named values, each of a kind that knows how it is written and when two writings are the same.

A value travels in the record of its exercise as JSON, so an answer can be graded without generating anything. Finding the
values in a model's text is `grading`'s work.
"""

import re

from msgspec import Struct


class Number(Struct, frozen=True, tag="number"):
    """One integer. modulus: where the value is a residue, so that a congruent number can be told from a plainly wrong one."""

    name: str
    value: int
    modulus: int = 0

    def written(self) -> str:
        return str(self.value)


class Bezout(Struct, frozen=True, tag="bezout"):
    """Two integers x, y with a x + b y = gcd: any such pair is right. value: the pair of the working."""

    name: str
    value: tuple[int, int]
    a: int
    b: int
    gcd: int

    def written(self) -> str:
        return "({}, {})".format(*self.value)


class Point(Struct, frozen=True, tag="point"):
    """A point of a curve, None at infinity; or any other pair of integers."""

    name: str
    value: tuple[int, int] | None

    def written(self) -> str:
        return "无穷远点" if self.value is None else "({}, {})".format(*self.value)


class Letters(Struct, frozen=True, tag="letters"):
    """Latin letters; case, spaces and punctuation do not count."""

    name: str
    value: str

    def written(self) -> str:
        return self.value


class Bytes(Struct, frozen=True, tag="bytes"):
    """Bytes in hexadecimal; case, spaces, colons and 0x do not count. value: upper-case digits without spaces."""

    name: str
    value: str

    def written(self) -> str:
        return spaced(self.value)


class Bits(Struct, frozen=True, tag="bits"):
    """Zeros and ones; spaces do not count."""

    name: str
    value: str

    def written(self) -> str:
        return self.value


class Text(Struct, frozen=True, tag="text"):
    """Characters without white space at the ends, where everything counts: Base64 and decoded text."""

    name: str
    value: str

    def written(self) -> str:
        return self.value


class Choice(Struct, frozen=True, tag="choice"):
    """One of a few words."""

    name: str
    value: str
    words: tuple[str, ...]

    def written(self) -> str:
        return self.value


Value = Number | Bezout | Point | Letters | Bytes | Bits | Text | Choice


def statement(values: tuple[Value, ...]) -> str:
    """The line an answer ends with; the grader finds every value in it again."""
    return "答案：" + "，".join(f"{value.name} = {value.written()}" for value in values)


def spaced(digits: str) -> str:
    """Hexadecimal digits in pairs."""
    return " ".join(re.findall("..", digits))

"""The arithmetic that several families share: primes, and the written working of Euclid's algorithm and of modular powers."""

from typing import NamedTuple

from data.exercises.dice import Dice

_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
PRIMES_BELOW = 3_317_044_064_679_887_385_961_981
"""The smallest composite that passes Miller-Rabin for all `_WITNESSES` (Sorenson and Webster, 2015)."""


class Worked(NamedTuple):
    """A value and the lines that lead to it."""

    value: int
    steps: list[str]


def is_prime(number: int) -> bool:
    """Whether `number`, which is less than `PRIMES_BELOW`, is a prime: Miller-Rabin, exact up to there and not beyond."""
    assert number < PRIMES_BELOW
    if number < 2:
        return False
    if any(number % prime == 0 for prime in _WITNESSES):
        return number in _WITNESSES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(pow(base, odd, number), twos, number) for base in _WITNESSES)


def _passes(power: int, twos: int, number: int) -> bool:
    if power in (1, number - 1):
        return True
    return any((power := power * power % number) == number - 1 for _ in range(twos - 1))


def draw_prime(dice: Dice, low: int, high: int) -> int:
    """A prime from low to high; the range must hold one."""
    while not is_prime(found := dice.between(low, high)):
        pass
    return found


def factorise(number: int) -> list[tuple[int, int]]:
    """Primes and their exponents, smallest first, by trial division; for small numbers."""
    found, divisor = [], 2
    while divisor * divisor <= number:
        exponent = 0
        while number % divisor == 0:
            number, exponent = number // divisor, exponent + 1
        if exponent:
            found.append((divisor, exponent))
        divisor += 1
    return [*found, (number, 1)] if number > 1 else found


def divisions(a: int, b: int) -> list[tuple[int, int, int, int]]:
    """Euclid's algorithm: (dividend, divisor, quotient, remainder) down to remainder 0."""
    found = []
    while b:
        found.append((a, b, a // b, a % b))
        a, b = b, a % b
    return found


def euclid(a: int, b: int) -> tuple[int, int, int, list[str]]:
    """(g, x, y, steps) with a x + b y = g = gcd(a, b). a > b > 0."""
    rows = divisions(a, b)
    steps = ["先辗转相除："] + [f"{dividend} = {quotient} × {divisor} + {rest}" for dividend, divisor, quotient, rest in rows]
    (x, y), (next_x, next_y) = (1, 0), (0, 1)
    if len(rows) > 1:
        steps.append(f"再把余数依次写成 {a} 与 {b} 的组合：")
    for _, _, quotient, rest in rows[:-1]:
        x, y, next_x, next_y = next_x, next_y, x - quotient * next_x, y - quotient * next_y
        steps.append(f"{rest} = {a} × {signed(next_x)} + {b} × {signed(next_y)}")
    return rows[-1][1], next_x, next_y, steps


def invert(a: int, modulus: int) -> Worked:
    """a^(-1) mod modulus for coprime 0 < a < modulus, worked by the extended Euclidean algorithm."""
    if a == 1:
        return Worked(1, [f"1 × 1 = 1，所以 1 模 {modulus} 的逆元就是 1"])
    _, _, y, steps = euclid(modulus, a)
    value = y % modulus
    if y < 0:
        steps.append(f"{y} + {modulus} = {value}")
    steps.append(f"检验：{a} × {value} = {a * value} ≡ 1 (mod {modulus})")
    return Worked(value, steps)


def power(base: int, exponent: int, modulus: int) -> Worked:
    """base^exponent mod modulus by repeated squaring, a line a squaring and one a multiplication. exponent >= 1."""
    bits = [place for place in range(exponent.bit_length()) if exponent >> place & 1]
    steps = []
    if len(bits) > 1:
        steps.append(f"{exponent} = " + " + ".join(str(2**place) for place in reversed(bits)))
    square = base % modulus
    if square != base:
        steps.append(f"{base} ≡ {square} (mod {modulus})")
    squares = {0: square}
    for place in range(1, exponent.bit_length()):
        before, square = square, square * square % modulus
        squares[place] = square
        steps.append(f"{base}^{2**place} ≡ {before}^2 = {_product(before * before, modulus)}")
    value = squares[bits[0]]
    done = 2 ** bits[0]
    for place in bits[1:]:
        before, value, done = value, value * squares[place] % modulus, done + 2**place
        steps.append(f"{base}^{done} ≡ {before} × {squares[place]} = {_product(before * squares[place], modulus)}")
    return Worked(value, steps)


def _product(number: int, modulus: int) -> str:
    """The end of a congruence: the number, its remainder where that is another, and the modulus."""
    return reduced(number, modulus) if number >= modulus else f"{number} (mod {modulus})"


def reduced(number: int, modulus: int) -> str:
    """A number and, unless it is one already, its remainder."""
    return str(number) if 0 <= number < modulus else f"{number} ≡ {number % modulus} (mod {modulus})"


def signed(number: int) -> str:
    """`number` as a factor: negative ones in parentheses."""
    return f"({number})" if number < 0 else str(number)

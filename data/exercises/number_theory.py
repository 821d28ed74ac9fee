"""Number theory: extended Euclid, modular inverse, modular power, Chinese remainder theorem, Euler's function."""

from math import gcd, prod

from data.exercises.answer import Bezout, Number
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.numbers import draw_prime, euclid, factorise, invert, power, signed

_TOP = {1: 60, 2: 200, 3: 1000, 4: 6000, 5: 40000}
"""The largest number of a level."""


def _draw_pair(dice: Dice, level: int) -> Parameters:
    """a > b > 1 whose greatest common divisor is often more than 1."""
    factor = dice.choice((1, 1, 2, 3, 4, 6, 7, 12))
    top = max(_TOP[level] // factor, 4)
    a = dice.between(top // 2 + 1, top)
    return {"a": a * factor, "b": dice.between(2, a - 1) * factor}


def _solve_bezout(parameters: Parameters) -> Solution:
    a, b = parameters["a"], parameters["b"]
    divisor, x, y, steps = euclid(a, b)
    remark = f"gcd({a}, {b}) = {divisor}，检验：{a} × {signed(x)} + {b} × {signed(y)} = {a * x} + {signed(b * y)} = {divisor}。"
    return Solution(steps, (Number("gcd", divisor), Bezout("(x, y)", (x, y), a, b, divisor)), remark)


def _draw_inverse(dice: Dice, level: int) -> Parameters:
    """Coprime 1 < a < m."""
    while True:
        m = dice.between(_TOP[level] // 3 + 5, _TOP[level])
        a = dice.between(2, m - 1)
        if gcd(a, m) == 1:
            return {"a": a, "m": m}


def _solve_inverse(parameters: Parameters) -> Solution:
    a, m = parameters["a"], parameters["m"]
    inverse = invert(a, m)
    return Solution(inverse.steps, (Number("x", inverse.value, m),), f"{a} 模 {m} 的乘法逆元是 {inverse.value}。")


def _draw_power(dice: Dice, level: int) -> Parameters:
    m = dice.between(7, (20, 60, 200, 1000, 5000)[level - 1])
    return {"a": dice.between(2, m - 1), "e": dice.between(3, (12, 40, 130, 600, 4000)[level - 1]), "m": m}


def _solve_power(parameters: Parameters) -> Solution:
    a, e, m = (parameters[name] for name in "aem")
    done = power(a, e, m)
    steps = ["把指数拆成 2 的幂，反复平方，再把需要的几个相乘：", *done.steps]
    return Solution(steps, (Number("r", done.value, m),), f"{a}^{e} 除以 {m} 的余数是 {done.value}。")


def _draw_remainders(dice: Dice, level: int) -> Parameters:
    """Pairwise coprime moduli in ascending order, two to four, and remainders."""
    count, top = ((2, 9), (2, 20), (3, 13), (3, 30), (4, 20))[level - 1]
    moduli: list[int] = []
    while len(moduli) < count:
        modulus = dice.between(3, top)
        if all(gcd(modulus, other) == 1 for other in moduli):
            moduli.append(modulus)
    moduli.sort()
    return {"moduli": moduli, "remainders": [dice.below(modulus) for modulus in moduli]}


def _solve_remainders(parameters: Parameters) -> Solution:
    moduli, remainders = parameters["moduli"], parameters["remainders"]
    whole = prod(moduli)
    steps = ["M = " + " × ".join(map(str, moduli)) + f" = {whole}"]
    terms = []
    for modulus, remainder in zip(moduli, remainders, strict=True):
        rest = whole // modulus
        inverse = pow(rest, -1, modulus)
        terms.append(remainder * rest * inverse)
        steps.append(f"模 {modulus}：{whole} ÷ {modulus} = {rest}，{rest} ≡ {rest % modulus} (mod {modulus})，"
                     f"{rest % modulus} × {inverse} = {rest % modulus * inverse} ≡ 1 (mod {modulus})，"
                     f"这一项是 {remainder} × {rest} × {inverse} = {terms[-1]}")  # fmt: skip
    value = sum(terms) % whole
    steps.append(" + ".join(map(str, terms)) + f" = {sum(terms)} ≡ {value} (mod {whole})")
    checks = [f"{value} ≡ {remainder} (mod {modulus})" for modulus, remainder in zip(moduli, remainders, strict=True)]
    return Solution(
        [*steps, "检验：" + "，".join(checks)], (Number("x", value, whole),), f"解是 x ≡ {value} (mod {whole})，取最小非负整数。"
    )


def _show_remainders(parameters: Parameters) -> Parameters:
    pairs = zip(parameters["moduli"], parameters["remainders"], strict=True)
    return {"system": "，".join(f"x ≡ {remainder} (mod {modulus})" for modulus, remainder in pairs)}


def _draw_totient(dice: Dice, level: int) -> Parameters:
    """A number with as many prime factors as the level allows."""
    n = 1
    for _ in range((1, 2, 2, 3, 3)[level - 1]):
        n *= draw_prime(dice, 2, (13, 23, 60, 23, 60)[level - 1])
    return {"n": n * dice.between(2, (12, 16, 20, 20, 40)[level - 1])}


def _solve_totient(parameters: Parameters) -> Solution:
    n = parameters["n"]
    factors = factorise(n)
    powers = [str(prime) if exponent == 1 else f"{prime}^{exponent}" for prime, exponent in factors]
    steps = [f"{n} = " + " × ".join(powers) if n != factors[0][0] else f"{n} 是素数"]
    parts = []
    for prime, exponent in factors:
        parts.append((prime - 1) * prime ** (exponent - 1))
        rule = f"{prime} - 1" if exponent == 1 else f"{prime}^{exponent} - {prime}^{exponent - 1}"
        steps.append(f"φ({powers[len(parts) - 1]}) = {rule} = {parts[-1]}")
    if len(parts) > 1:
        steps.append(f"φ({n}) = " + " × ".join(map(str, parts)) + f" = {prod(parts)}")
    return Solution(steps, (Number("φ", prod(parts)),), f"1 到 {n} 之间与 {n} 互素的整数有 {prod(parts)} 个。")


FAMILIES = (
    Family("bezout", "mathematics", _draw_pair, _solve_bezout, (
        "用扩展欧几里得算法求 gcd({a}, {b})，并求整数 x、y 使 {a}x + {b}y = gcd({a}, {b})。",
        "求 {a} 与 {b} 的最大公因数，并把它写成 {a}x + {b}y 的形式，给出 x 和 y。",
        "对 {a} 和 {b} 做辗转相除，再回代求出裴蜀等式 {a}x + {b}y = gcd 的一组整数解。",
        "已知 a = {a}，b = {b}。用扩展欧几里得算法给出最大公因数以及系数 x、y。",
    )),
    Family("inverse", "mathematics", _draw_inverse, _solve_inverse, (
        "求 {a} 模 {m} 的乘法逆元 x，取 0 到 {m} 之间的值。",
        "解同余方程 {a}x ≡ 1 (mod {m})，取最小正整数解。",
        "用扩展欧几里得算法计算 {a}^(-1) mod {m}，结果记为 x。",
        "在模 {m} 的运算中，哪个最小的正整数 x 与 {a} 相乘得 1？",
    )),
    Family("power", "mathematics", _draw_power, _solve_power, (
        "用平方—乘算法计算 {a}^{e} mod {m}，余数记为 r。",
        "求 {a} 的 {e} 次方除以 {m} 的余数 r。",
        "用快速幂求 r = {a}^{e} mod {m}，写出每次平方和相乘。",
        "模幂练习：底数 {a}，指数 {e}，模数 {m}，求结果 r。",
    )),
    Family("remainders", "mathematics", _draw_remainders, _solve_remainders, (
        "解同余方程组：{system}，求最小非负整数 x。",
        "用中国剩余定理求满足 {system} 的最小非负整数 x。",
        "一个数同时满足 {system}，这个数最小是多少？记为 x。",
    ), _show_remainders),
    Family("totient", "mathematics", _draw_totient, _solve_totient, (
        "计算欧拉函数 φ({n})，结果记为 φ。",
        "从 1 到 {n} 的整数里有多少个与 {n} 互素？结果记为 φ。",
        "把 {n} 分解素因数，再求 φ({n})，结果记为 φ。",
    )),
)  # fmt: skip

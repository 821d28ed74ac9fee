"""Addition of points on toy elliptic curves in short Weierstrass form."""

from data.exercises.answer import Point
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.numbers import draw_prime, reduced

_PRIMES = {1: (11, 23), 2: (23, 53), 3: (53, 127), 4: (127, 499), 5: (499, 1999)}
Affine = tuple[int, int]


def _draw(dice: Dice, level: int) -> Parameters:
    """A curve through P, and Q on it: another point, P itself or, now and then, the negative of P."""
    p = draw_prime(dice, *_PRIMES[level])
    while True:
        a, x, y = dice.below(p), dice.below(p), dice.between(1, p - 1)
        b = (y * y - x**3 - a * x) % p
        if (4 * a**3 + 27 * b * b) % p:
            break
    kind = dice.below(10)
    if kind == 0:
        other = (x, p - y)
    elif kind < 5:
        other = (x, y)
    else:
        other = _point(dice, p, a, b)
    return {"p": p, "a": a, "b": b, "P": [x, y], "Q": list(other)}


def _point(dice: Dice, p: int, a: int, b: int) -> Affine:
    """Some point of the curve, by trying."""
    while True:
        x = dice.below(p)
        right = (x**3 + a * x + b) % p
        if roots := [y for y in range(p) if y * y % p == right]:
            return x, dice.choice(roots)


def _solve(parameters: Parameters) -> Solution:
    p, a, P, Q = (parameters[name] for name in ("p", "a", "P", "Q"))
    if P[0] == Q[0] and (P[1] + Q[1]) % p == 0:
        steps = [f"两点横坐标相同，纵坐标之和 {P[1]} + {Q[1]} = {P[1] + Q[1]} ≡ 0 (mod {p})，两点互为负元"]
        return Solution(steps, (Point("R", None),), "互为负元的两点相加得无穷远点。")
    slope, steps = _tangent(P, a, p) if P == Q else _chord(P, Q, p)
    x = (slope * slope - P[0] - Q[0]) % p
    y = (slope * (P[0] - x) - P[1]) % p
    right = x**3 + a * x + parameters["b"]
    steps += [
        f"x3：{slope}^2 - {P[0]} - {Q[0]} = {reduced(slope * slope - P[0] - Q[0], p)}",
        f"y3：{slope} × ({P[0]} - {x}) - {P[1]} = {reduced(slope * (P[0] - x) - P[1], p)}",
        f"检验：{y}^2 = {reduced(y * y, p)}，{x}^3 + {a} × {x} + {parameters['b']} = {reduced(right, p)}",
    ]
    return Solution(steps, (Point("R", (x, y)),), "代入曲线方程，两边相等，点在曲线上。")


def _tangent(P: Affine, a: int, p: int) -> tuple[int, list[str]]:
    """Slope of the doubling."""
    above, below = 3 * P[0] ** 2 + a, 2 * P[1]
    return _divide(f"3 × {P[0]}^2 + {a}", above, f"2 × {P[1]}", below, p)


def _chord(P: Affine, Q: Affine, p: int) -> tuple[int, list[str]]:
    """Slope through two points of different x."""
    return _divide(f"{Q[1]} - {P[1]}", Q[1] - P[1], f"{Q[0]} - {P[0]}", Q[0] - P[0], p)


def _divide(above_text: str, above: int, below_text: str, below: int, p: int) -> tuple[int, list[str]]:
    top, bottom = above % p, below % p
    inverse = pow(bottom, -1, p)
    slope = top * inverse % p
    return slope, [
        f"斜率的分子：{above_text} = {reduced(above, p)}",
        f"斜率的分母：{below_text} = {reduced(below, p)}",
        f"分母的逆元：{bottom} × {inverse} = {bottom * inverse} ≡ 1 (mod {p})",
        f"斜率：{top} × {inverse} = {reduced(top * inverse, p)}",
    ]


def _show(parameters: Parameters) -> Parameters:
    P, Q = ("({}, {})".format(*parameters[name]) for name in "PQ")
    return parameters | {"P": P, "Q": Q, "curve": f"y^2 = x^3 + {parameters['a']}x + {parameters['b']} (mod {parameters['p']})"}


FAMILIES = (
    Family("curve_addition", "public_key", _draw, _solve, (
        "椭圆曲线 {curve} 上，P = {P}，Q = {Q}，求 R = P + Q（若为无穷远点就写“无穷远点”）。",
        "在曲线 {curve} 上把点 {P} 与点 {Q} 相加，结果 R 是什么？若是无穷远点请写明。",
        "计算点加 R = {P} + {Q}，曲线为 {curve}；结果可能是无穷远点。",
    ), _show),
)  # fmt: skip

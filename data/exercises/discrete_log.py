"""Diffie-Hellman and ElGamal modulo toy primes."""

from data.exercises.answer import Number
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.numbers import draw_prime, factorise, invert, power, reduced

_PRIMES = {1: (11, 31), 2: (29, 89), 3: (67, 199), 4: (101, 499), 5: (307, 997)}
_TOP_EXPONENT = {1: 9, 2: 16, 3: 30, 4: 50, 5: 80}
"""Private numbers stay small enough that the working of three powers fits into a thousand tokens."""


def _draw_group(dice: Dice, level: int) -> Parameters:
    """A prime p and its smallest primitive root or one of the next few, as g."""
    p = draw_prime(dice, *_PRIMES[level])
    orders = [(p - 1) // prime for prime, _ in factorise(p - 1)]
    roots = (g for g in range(2, p) if all(pow(g, order, p) != 1 for order in orders))
    return {"p": p, "g": dice.choice([root for root, _ in zip(roots, range(4), strict=False)])}


def _draw_exchange(dice: Dice, level: int) -> Parameters:
    group = _draw_group(dice, level)
    return group | {"a": dice.between(2, _TOP_EXPONENT[level]), "b": dice.between(2, _TOP_EXPONENT[level])}


def _solve_exchange(parameters: Parameters) -> Solution:
    p, g, a, b = (parameters[name] for name in "pgab")
    first, second = power(g, a, p), power(g, b, p)
    shared = power(second.value, a, p)
    steps = [f"A 等于 {g}^{a} 模 {p}：", *first.steps, f"B 等于 {g}^{b} 模 {p}：", *second.steps,
             f"共享密钥 K 等于 B 的 {a} 次方，即 {second.value}^{a} 模 {p}：", *shared.steps]  # fmt: skip
    values = (Number("A", first.value, p), Number("B", second.value, p), Number("K", shared.value, p))
    return Solution(steps, values, f"双方得到同一个共享密钥 {shared.value}。")


def _draw_elgamal(dice: Dice, level: int) -> Parameters:
    """A group, the private key x, the random k and a message."""
    group = _draw_group(dice, level)
    x, k = (dice.between(2, _TOP_EXPONENT[level]) for _ in range(2))
    return group | {"x": x, "k": k, "m": dice.between(2, group["p"] - 1)}


def _draw_ciphertext(dice: Dice, level: int) -> Parameters:
    """What the holder of the private key x sees."""
    group = _draw_group(dice, level)
    p = group["p"]
    return {
        "p": p,
        "x": dice.between(2, _TOP_EXPONENT[level]),
        "c1": pow(group["g"], dice.between(2, p - 2), p),
        "c2": dice.between(1, p - 1),
    }


def _solve_encryption(parameters: Parameters) -> Solution:
    p, g, k, m = (parameters[name] for name in "pgkm")
    h = pow(g, parameters["x"], p)
    first, mask = power(g, k, p), power(h, k, p)
    second = m * mask.value % p
    steps = [f"c1 等于 {g}^{k} 模 {p}：", *first.steps, f"掩码等于 {h}^{k} 模 {p}：", *mask.steps,
             f"c2：{m} × {mask.value} = {reduced(m * mask.value, p)}"]  # fmt: skip
    return Solution(steps, (Number("c1", first.value, p), Number("c2", second, p)), f"密文是 ({first.value}, {second})。")


def _solve_decryption(parameters: Parameters) -> Solution:
    p, x, c1, c2 = (parameters[name] for name in ("p", "x", "c1", "c2"))
    mask = power(c1, x, p)
    inverse = invert(mask.value, p)
    m = c2 * inverse.value % p
    steps = [f"掩码等于 {c1}^{x} 模 {p}：", *mask.steps, f"求 {mask.value} 模 {p} 的逆元：", *inverse.steps,
             f"m：{c2} × {inverse.value} = {reduced(c2 * inverse.value, p)}"]  # fmt: skip
    return Solution(steps, (Number("m", m, p),), f"明文是 {m}。")


def _show(parameters: Parameters) -> Parameters:
    return parameters | {"h": pow(parameters["g"], parameters["x"], parameters["p"])}


FAMILIES = (
    Family("diffie_hellman", "public_key", _draw_exchange, _solve_exchange, (
        "Diffie–Hellman 中 p = {p}、g = {g}，Alice 的私钥是 {a}，Bob 的私钥是 {b}。求公开值 A、B 和共享密钥 K。",
        "双方用 p = {p}、g = {g} 做 DH 密钥交换，私钥分别是 {a} 和 {b}，求 A、B 与共享密钥 K。",
        "计算 A = {g}^{a} mod {p}、B = {g}^{b} mod {p}，再求 DH 共享密钥 K。",
    )),
    Family("elgamal_encrypt", "public_key", _draw_elgamal, _solve_encryption, (
        "ElGamal 参数 p = {p}、g = {g}，公钥 h = {h}，用随机数 k = {k} 加密 m = {m}，求 c1 和 c2。",
        "用 ElGamal 公钥 (p, g, h) = ({p}, {g}, {h}) 加密 {m}，随机数取 {k}，密文 (c1, c2) 是什么？",
        "ElGamal 加密练习：p = {p}，g = {g}，h = {h}，m = {m}，k = {k}，写出 c1、c2。",
    ), _show),
    Family("elgamal_decrypt", "public_key", _draw_ciphertext, _solve_decryption, (
        "ElGamal 参数 p = {p}、私钥 x = {x}，收到密文 (c1, c2) = ({c1}, {c2})，求明文 m。",
        "用 ElGamal 私钥 {x}（p = {p}）解密 c1 = {c1}、c2 = {c2}，明文 m 是多少？",
        "已知 p = {p}、x = {x}，把 ElGamal 密文 ({c1}, {c2}) 解密成 m。",
    )),
)  # fmt: skip

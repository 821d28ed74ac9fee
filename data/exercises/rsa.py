"""RSA with toy numbers: making a key, encrypting and decrypting, signing. Textbook RSA without padding, as a lesson only."""

from math import gcd

from data.exercises.answer import Number
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.numbers import draw_prime, invert, power

_PRIMES = {1: (3, 19), 2: (7, 29), 3: (11, 43), 4: (17, 67), 5: (31, 101)}


def _draw_key(dice: Dice, level: int) -> Parameters:
    """p < q and the exponent e, coprime to (p - 1)(q - 1)."""
    p = draw_prime(dice, *_PRIMES[level])
    while (q := draw_prime(dice, *_PRIMES[level])) == p:
        pass
    p, q = sorted((p, q))
    phi = (p - 1) * (q - 1)
    usable = [e for e in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37) if e < phi and gcd(e, phi) == 1]
    return {"p": p, "q": q, "e": dice.choice(usable)} if usable else _draw_key(dice, level)


def _draw_message(dice: Dice, level: int) -> Parameters:
    """A key and a message that is neither 0 nor 1."""
    key = _draw_key(dice, level)
    return key | {"m": dice.between(2, key["p"] * key["q"] - 1)}


def _solve_key(parameters: Parameters) -> Solution:
    p, q, e = (parameters[name] for name in "pqe")
    n, phi = p * q, (p - 1) * (q - 1)
    inverse = invert(e, phi)
    steps = [
        f"n = {p} × {q} = {n}",
        f"φ(n) = ({p} - 1) × ({q} - 1) = {p - 1} × {q - 1} = {phi}",
        f"求 {e} 模 {phi} 的逆元：",
        *inverse.steps,
    ]
    values = (Number("n", n), Number("φ", phi), Number("d", inverse.value, phi))
    return Solution(steps, values, f"公钥是 ({n}, {e})，私钥指数是 {inverse.value}。")


def _solve_encryption(parameters: Parameters) -> Solution:
    e, m, n = parameters["e"], parameters["m"], parameters["p"] * parameters["q"]
    done = power(m, e, n)
    return Solution([f"密文 c 等于 {m}^{e} 模 {n}：", *done.steps], (Number("c", done.value, n),), f"密文是 {done.value}。")


def _solve_decryption(parameters: Parameters) -> Solution:
    d, n = _private(parameters), parameters["p"] * parameters["q"]
    c = pow(parameters["m"], parameters["e"], n)
    done = power(c, d, n)
    return Solution([f"明文 m 等于 {c}^{d} 模 {n}：", *done.steps], (Number("m", done.value, n),), f"明文是 {done.value}。")


def _solve_signature(parameters: Parameters) -> Solution:
    d, e, h, n = _private(parameters), parameters["e"], parameters["m"], parameters["p"] * parameters["q"]
    signed, opened = power(h, d, n), power(pow(h, d, n), e, n)
    steps = [f"签名 s 等于 {h}^{d} 模 {n}：", *signed.steps, f"验证 {signed.value}^{e} 模 {n}：", *opened.steps]
    return Solution(steps, (Number("s", signed.value, n),), f"验证得到 {opened.value}，与摘要相同，签名有效。")


def _private(parameters: Parameters) -> int:
    p, q, e = (parameters[name] for name in "pqe")
    return pow(e, -1, (p - 1) * (q - 1))


def _show_public(parameters: Parameters) -> Parameters:
    return {"n": parameters["p"] * parameters["q"], "e": parameters["e"], "m": parameters["m"]}


def _show_private(parameters: Parameters) -> Parameters:
    n = parameters["p"] * parameters["q"]
    return _show_public(parameters) | {"d": _private(parameters), "c": pow(parameters["m"], parameters["e"], n)}


FAMILIES = (
    Family("rsa_key", "public_key", _draw_key, _solve_key, (
        "取 p = {p}、q = {q}、e = {e}，生成玩具 RSA 密钥，求 n、φ(n)（记为 φ）和私钥指数 d，d 取模 φ(n) 的最小正值。",
        "RSA 密钥生成练习：两个素数是 {p} 和 {q}，公钥指数 {e}。求模数 n、欧拉函数值 φ 和最小正的私钥指数 d。",
        "已知 RSA 的素数 {p}、{q} 与公钥指数 {e}，用扩展欧几里得算法求出 d，并给出 n 和 φ。",
    )),
    Family("rsa_encrypt", "public_key", _draw_message, _solve_encryption, (
        "RSA 公钥为 (n, e) = ({n}, {e})，加密明文 m = {m}，求密文 c。",
        "用教科书式 RSA 加密 {m}，模数 {n}，公钥指数 {e}，密文 c 是多少？",
        "计算 RSA 密文 c = {m}^{e} mod {n}。",
    ), _show_public),
    Family("rsa_decrypt", "public_key", _draw_message, _solve_decryption, (
        "RSA 私钥为 n = {n}、d = {d}，收到密文 c = {c}，求明文 m。",
        "用教科书式 RSA 解密：模数 {n}，私钥指数 {d}，密文 {c}。明文 m 是多少？",
        "已知 c = {c}、d = {d}、n = {n}，用快速幂求 RSA 明文 m。",
    ), _show_private),
    Family("rsa_sign", "public_key", _draw_message, _solve_signature, (
        "RSA 参数 n = {n}、e = {e}、d = {d}，对摘要 h = {m} 签名，求 s，再验证一遍。",
        "用私钥 d = {d}（n = {n}）对摘要 {m} 做教科书式 RSA 签名，并用 e = {e} 验证，签名 s 是多少？",
        "计算摘要 {m} 的 RSA 签名 s：n = {n}，d = {d}；写出用 e = {e} 验签的过程。",
    ), _show_private),
)  # fmt: skip

"""Caesar, affine and Vigenère: letters as numbers modulo 26, A = 0, in both directions."""

from data.exercises.answer import Letters
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.numbers import reduced
from data.exercises.words import WORDS, draw_text

_UNITS = (3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 25)
_NUM_WORDS = (1, 1, 2, 2, 3)


def _draw_caesar(dice: Dice, level: int) -> Parameters:
    return {"text": draw_text(dice, _NUM_WORDS[level - 1]), "key": dice.between(1, 25)}


def _draw_affine(dice: Dice, level: int) -> Parameters:
    return {"text": draw_text(dice, _NUM_WORDS[level - 1]), "a": dice.choice(_UNITS), "b": dice.below(26)}


def _draw_vigenere(dice: Dice, level: int) -> Parameters:
    keys = [word for word in WORDS if len(word) in (3, 4 + level // 2)]
    return {"text": draw_text(dice, _NUM_WORDS[level - 1]), "key": dice.choice(keys)}


def _encrypt_caesar(parameters: Parameters) -> Solution:
    return _shifted(parameters["text"], [parameters["key"]], "密文")


def _decrypt_caesar(parameters: Parameters) -> Solution:
    return _shifted(_show_caesar(parameters)["ciphertext"], [-parameters["key"]], "明文")


def _encrypt_vigenere(parameters: Parameters) -> Solution:
    return _with_key(_shifted(parameters["text"], [_number(letter) for letter in parameters["key"]], "密文"), parameters["key"])


def _decrypt_vigenere(parameters: Parameters) -> Solution:
    shifts = [-_number(letter) for letter in parameters["key"]]
    return _with_key(_shifted(_show_vigenere(parameters)["ciphertext"], shifts, "明文"), parameters["key"])


def _with_key(solution: Solution, key: str) -> Solution:
    """The key as numbers in front of the working."""
    numbers = "，".join(f"{letter}→{_number(letter)}" for letter in key)
    return solution._replace(steps=[f"密钥 {key} 循环使用：{numbers}", *solution.steps])


def _shifted(text: str, shifts: list[int], name: str) -> Solution:
    """Letters moved by the shifts in turn, a line a letter."""
    steps, result = ["字母编号 A=0，逐个移位，超出 0 到 25 就模 26："], ""
    for place, letter in enumerate(text):
        shift, number = shifts[place % len(shifts)], _number(letter)
        sign = "+" if shift >= 0 else "-"
        result += _letter(number + shift)
        steps.append(f"{letter}→{number}：{number} {sign} {abs(shift)} = {reduced(number + shift, 26)}→{result[-1]}")
    return Solution([*steps, f"连起来是 {result}"], (Letters(name, result),))


def _encrypt_affine(parameters: Parameters) -> Solution:
    a, b = parameters["a"], parameters["b"]
    steps, result = ["字母编号 A=0，逐个代入公式再模 26："], ""
    for letter in parameters["text"]:
        number = _number(letter)
        result += _letter(a * number + b)
        steps.append(f"{letter}→{number}：{a} × {number} + {b} = {reduced(a * number + b, 26)}→{result[-1]}")
    return Solution([*steps, f"连起来是 {result}"], (Letters("密文", result),))


def _decrypt_affine(parameters: Parameters) -> Solution:
    a, b = parameters["a"], parameters["b"]
    inverse = pow(a, -1, 26)
    steps, result = [f"{a} 的逆元：{a} × {inverse} = {a * inverse} ≡ 1 (mod 26)，解密公式是先减 {b} 再乘 {inverse}："], ""
    for letter in _show_affine(parameters)["ciphertext"]:
        number = _number(letter)
        result += _letter(inverse * (number - b))
        steps.append(f"{letter}→{number}：{inverse} × ({number} - {b}) = {reduced(inverse * (number - b), 26)}→{result[-1]}")
    return Solution([*steps, f"连起来是 {result}"], (Letters("明文", result),))


def _number(letter: str) -> int:
    return ord(letter) - ord("A")


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26)


def _show_caesar(parameters: Parameters) -> Parameters:
    return parameters | {"ciphertext": "".join(_letter(_number(letter) + parameters["key"]) for letter in parameters["text"])}


def _show_affine(parameters: Parameters) -> Parameters:
    a, b = parameters["a"], parameters["b"]
    return parameters | {"ciphertext": "".join(_letter(a * _number(letter) + b) for letter in parameters["text"])}


def _show_vigenere(parameters: Parameters) -> Parameters:
    key = parameters["key"]
    letters = (_letter(_number(letter) + _number(key[place % len(key)])) for place, letter in enumerate(parameters["text"]))
    return parameters | {"ciphertext": "".join(letters)}


FAMILIES = (
    Family("caesar_encrypt", "classical", _draw_caesar, _encrypt_caesar, (
        "用移位 {key} 的凯撒密码加密 {text}，求密文。",
        "凯撒密码的密钥是 {key}，把明文 {text} 变成密文。",
        "每个字母向后移动 {key} 位（Z 之后回到 A），加密 {text}，给出密文。",
    )),
    Family("caesar_decrypt", "classical", _draw_caesar, _decrypt_caesar, (
        "凯撒密文 {ciphertext} 的移位是 {key}，求明文。",
        "已知凯撒密码的密钥为 {key}，解密 {ciphertext}，给出明文。",
        "把密文 {ciphertext} 的每个字母向前移动 {key} 位，还原明文。",
    ), _show_caesar),
    Family("affine_encrypt", "classical", _draw_affine, _encrypt_affine, (
        "用仿射密码 E(x) = {a}x + {b} mod 26（A=0）加密 {text}，求密文。",
        "仿射密码的密钥是 a = {a}、b = {b}，字母编号 A=0，把明文 {text} 加密成密文。",
        "按 y = {a}x + {b} (mod 26) 逐字母代换 {text}（A=0），给出密文。",
    )),
    Family("affine_decrypt", "classical", _draw_affine, _decrypt_affine, (
        "仿射密码 E(x) = {a}x + {b} mod 26（A=0）的密文是 {ciphertext}，求明文。",
        "已知仿射密钥 a = {a}、b = {b}（A=0），解密 {ciphertext}，给出明文。",
        "先求 {a} 模 26 的逆元，再把仿射密文 {ciphertext}（b = {b}，A=0）还原成明文。",
    ), _show_affine),
    Family("vigenere_encrypt", "classical", _draw_vigenere, _encrypt_vigenere, (
        "用密钥 {key} 的维吉尼亚密码加密 {text}，求密文。",
        "维吉尼亚密码，密钥词 {key}，明文 {text}，A=0，密文是什么？",
        "把密钥 {key} 循环写在 {text} 下面，逐字母模 26 相加，给出维吉尼亚密文。",
    )),
    Family("vigenere_decrypt", "classical", _draw_vigenere, _decrypt_vigenere, (
        "维吉尼亚密文 {ciphertext} 的密钥是 {key}，求明文。",
        "已知密钥词 {key}，用维吉尼亚密码解密 {ciphertext}，A=0，明文是什么？",
        "从密文 {ciphertext} 逐字母减去循环的密钥 {key}（模 26），还原维吉尼亚明文。",
    ), _show_vigenere),
)  # fmt: skip

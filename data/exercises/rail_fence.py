"""The rail fence: a text written in a zigzag over rails and read rail by rail."""

from data.exercises.answer import Letters
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.words import draw_text


def _draw(dice: Dice, level: int) -> Parameters:
    return {"text": draw_text(dice, (1, 2, 2, 3, 4)[level - 1]), "rails": dice.between(2, (3, 3, 4, 5, 6)[level - 1])}


def _encrypt(parameters: Parameters) -> Solution:
    text, rails = parameters["text"], parameters["rails"]
    rows = _read(text, rails)
    steps = [_path(len(text), rails)]
    steps += [f"第 {number} 栏：{' '.join(row)}" for number, row in enumerate(rows, 1) if row]
    return Solution([*steps, f"依次连接各栏得 {''.join(rows)}"], (Letters("密文", "".join(rows)),))


def _decrypt(parameters: Parameters) -> Solution:
    text, rails = parameters["text"], parameters["rails"]
    rows = _read(text, rails)
    steps = [_path(len(text), rails)]
    steps += [f"第 {number} 栏有 {len(row)} 个字母：{' '.join(row)}" for number, row in enumerate(rows, 1) if row]
    return Solution([*steps, f"按栏号顺序逐个取字母得 {text}"], (Letters("明文", text),))


def _read(text: str, rails: int) -> list[str]:
    """The letters of each rail."""
    order = _rails(len(text), rails)
    return ["".join(letter for letter, place in zip(text, order, strict=True) if place == rail) for rail in range(1, rails + 1)]


def _rails(length: int, rails: int) -> list[int]:
    """The rail (from 1) of each place: down and up again."""
    period = [*range(1, rails + 1), *range(rails - 1, 1, -1)]
    return [period[place % len(period)] for place in range(length)]


def _path(length: int, rails: int) -> str:
    return f"之字形经过的栏号：{' '.join(map(str, _rails(length, rails)))}"


def _show(parameters: Parameters) -> Parameters:
    return parameters | {"ciphertext": "".join(_read(parameters["text"], parameters["rails"]))}


FAMILIES = (
    Family("rail_fence_encrypt", "classical", _draw, _encrypt, (
        "用 {rails} 栏的栅栏密码（之字形书写）加密 {text}，求密文。",
        "把 {text} 按之字形写在 {rails} 条栏上，再逐栏读出，密文是什么？",
        "栅栏密码的栏数为 {rails}，明文 {text}，之字形排列，给出密文。",
    )),
    Family("rail_fence_decrypt", "classical", _draw, _decrypt, (
        "{rails} 栏栅栏密码（之字形书写）的密文是 {ciphertext}，求明文。",
        "密文 {ciphertext} 由之字形栅栏密码得到，栏数 {rails}，还原明文。",
        "已知栏数 {rails}，解密之字形栅栏密文 {ciphertext}，给出明文。",
    ), _show),
)  # fmt: skip

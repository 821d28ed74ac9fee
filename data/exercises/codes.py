"""Hexadecimal and Base64, in both directions."""

import base64

from data.exercises.answer import Bytes, Text, spaced
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.words import draw_text

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _draw(dice: Dice, level: int) -> Parameters:
    """A word and some digits, so that length and characters vary."""
    text = draw_text(dice, 3)[: dice.between(1, 2) + 2 * level]
    return {"text": (text if dice.below(2) else text.capitalize()) + str(dice.below(10 ** dice.between(1, 2)))}


def _to_hex(parameters: Parameters) -> Solution:
    data = parameters["text"].encode()
    steps = [f"{chr(byte)}：ASCII {byte}，{byte // 16} × 16 + {byte % 16} = {byte}，写作 {byte:02X}" for byte in data]
    return Solution(["逐个字符查 ASCII 编码，写成两位十六进制：", *steps], (Bytes("十六进制", data.hex().upper()),))


def _from_hex(parameters: Parameters) -> Solution:
    data = parameters["text"].encode()
    steps = [f"{byte:02X}：{byte // 16} × 16 + {byte % 16} = {byte}，ASCII 字符 {chr(byte)}" for byte in data]
    return Solution(["每两位十六进制是一个字节，对应一个字符：", *steps], (Text("文本", parameters["text"]),))


def _to_base64(parameters: Parameters) -> Solution:
    data = parameters["text"].encode()
    steps = ["每 3 个字节共 24 位，分成 4 段，每段 6 位查表："]
    for start in range(0, len(data), 3):
        group = data[start : start + 3]
        bits = "".join(f"{byte:08b}" for byte in group)
        padded = bits + "0" * (-len(bits) % 6)
        sixes = [padded[place : place + 6] for place in range(0, len(padded), 6)]
        signs = "，".join(f"{six} 是 {int(six, 2)}→{ALPHABET[int(six, 2)]}" for six in sixes)
        filled = f"，补 {3 - len(group)} 个等号" if len(group) < 3 else ""
        steps.append(f"{group.decode()}：比特 {bits}，{signs}{filled}")
    return Solution(steps, (Text("Base64", base64.b64encode(data).decode()),))


def _from_base64(parameters: Parameters) -> Solution:
    encoded = _show_base64(parameters)["encoded"]
    steps = ["每 4 个字符一组，每个字符查表得 6 位："]
    for start in range(0, len(encoded), 4):
        signs = encoded[start : start + 4].rstrip("=")
        bits = "".join(f"{ALPHABET.index(sign):06b}" for sign in signs)
        numbers = "，".join(f"{sign}→{ALPHABET.index(sign)} 是 {ALPHABET.index(sign):06b}" for sign in signs)
        octets = [bits[place : place + 8] for place in range(0, len(bits) // 8 * 8, 8)]
        letters = "，".join(f"{octet} 是 0x{int(octet, 2):02X}，字符 {chr(int(octet, 2))}" for octet in octets)
        steps.append(f"{numbers}；按 8 位重分：{letters}")
    return Solution(steps, (Text("文本", parameters["text"]),))


def _show_hex(parameters: Parameters) -> Parameters:
    return {"encoded": spaced(parameters["text"].encode().hex().upper())}


def _show_base64(parameters: Parameters) -> Parameters:
    return {"encoded": base64.b64encode(parameters["text"].encode()).decode()}


FAMILIES = (
    Family("hex_encode", "mathematics", _draw, _to_hex, (
        "把 ASCII 文本 {text} 写成十六进制字节。",
        "{text} 的 ASCII 编码用十六进制怎样表示？",
        "给出字符串 {text}（ASCII）的十六进制。",
    )),
    Family("hex_decode", "mathematics", _draw, _from_hex, (
        "十六进制字节 {encoded} 表示的 ASCII 文本是什么？",
        "把十六进制 {encoded} 还原成 ASCII 文本。",
        "解码十六进制串 {encoded}，给出文本。",
    ), _show_hex),
    Family("base64_encode", "mathematics", _draw, _to_base64, (
        "求 ASCII 文本 {text} 的 Base64 编码。",
        "把 {text} 按 3 字节一组做 Base64 编码，结果是什么？",
        "写出字符串 {text}（ASCII）的 Base64，必要时补等号。",
    )),
    Family("base64_decode", "mathematics", _draw, _from_base64, (
        "Base64 串 {encoded} 解码后的 ASCII 文本是什么？",
        "把 Base64 编码 {encoded} 还原成文本。",
        "解码 {encoded}（Base64），给出 ASCII 文本。",
    ), _show_base64),
)  # fmt: skip

"""PKCS#7 padding, and the modes of operation with a toy block cipher of 8 bits: E(x) = (x ⊕ k) rotated left by three."""

from data.exercises.answer import Bytes, Choice, spaced
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.streams import xor_line

MODES = ("ECB", "CBC", "CFB", "OFB", "CTR")
_TOY = "玩具分组密码（8 位分组）：E(x) = (x ⊕ k) 循环左移 3 位"


def _draw_padding(dice: Dice, level: int) -> Parameters:
    """block: bytes of a block.  data: bytes before the padding."""
    block = dice.choice(((4,), (4, 8), (8,), (8, 16), (16,))[level - 1])
    return {"block": block, "data": dice.bytes(dice.between(1, block if level < 4 else 2 * block - 1)).hex().upper()}


def _pad(parameters: Parameters) -> Solution:
    block, data = parameters["block"], parameters["data"]
    length = len(data) // 2
    fill = block - length % block
    steps = [
        f"数据有 {length} 字节，{length} ≡ {length % block} (mod {block})",
        f"要补的字节数：{block} - {length % block} = {fill}，每个填充字节都是 0x{fill:02X}",
        f"总长：{length} + {fill} = {length + fill} 字节",
    ]
    remark = "数据恰好是整块，仍要补一整块。" if fill == block else f"补 {fill} 个字节 {fill:02X}。"
    return Solution(steps, (Bytes("结果", data + f"{fill:02X}" * fill),), remark)


def _draw_padded(dice: Dice, level: int) -> Parameters:
    """One padded block, spoilt in half of the cases."""
    block = (4, 8, 8, 16, 16)[level - 1]
    fill = dice.between(1, block)
    data = bytearray(dice.bytes(block - fill) + bytes([fill]) * fill)
    if dice.below(2):
        data[-dice.between(1, fill)] = dice.choice((0, block + 1, *range(1, block + 1)))
    return {"block": block, "data": data.hex().upper()}


def _check_padding(parameters: Parameters) -> Solution:
    block, data = parameters["block"], bytes.fromhex(parameters["data"])
    fill = data[-1]
    steps = [f"末字节是 0x{fill:02X}，即 {fill}"]
    if not 1 <= fill <= block:
        steps.append(f"填充值应在 1 到 {block} 之间，{fill} 不在范围内")
        valid = False
    else:
        tail = data[-fill:]
        steps.append(f"最后 {fill} 个字节是 {spaced(tail.hex().upper())}，应全为 {fill:02X}")
        valid = set(tail) == {fill}
        steps.append("全部相等" if valid else "有不相等的字节")
    return Solution(steps, (_verdict("合法" if valid else "不合法"),))


def _verdict(word: str) -> Choice:
    return Choice("结论", word, ("合法", "不合法"))


def _draw_mode(dice: Dice, level: int) -> Parameters:
    count = (2, 2, 3, 4, 6)[level - 1]
    mode = dice.choice(MODES[: (2, 3, 5, 5, 5)[level - 1]])
    return {"mode": mode, "key": dice.bytes(1).hex().upper(), "iv": "" if mode == "ECB" else dice.bytes(1).hex().upper(),
            "data": dice.bytes(count).hex().upper()}  # fmt: skip


def _encrypt(parameters: Parameters) -> Solution:
    ciphertext, steps = _run(parameters, bytes.fromhex(parameters["data"]), decrypting=False)
    return Solution(steps, (Bytes("密文", ciphertext.hex().upper()),))


def _decrypt(parameters: Parameters) -> Solution:
    ciphertext, _ = _run(parameters, bytes.fromhex(parameters["data"]), decrypting=False)
    plaintext, steps = _run(parameters, ciphertext, decrypting=True)
    return Solution(steps, (Bytes("明文", plaintext.hex().upper()),))


def _run(parameters: Parameters, data: bytes, decrypting: bool) -> tuple[bytes, list[str]]:
    """The whole text through the mode: the result and a line a block."""
    mode, key, chain = parameters["mode"], int(parameters["key"], 16), int(parameters["iv"] or "0", 16)
    result, steps = bytearray(), []
    for number, byte in enumerate(data, 1):
        made, chain, lines = _block(mode, key, chain, byte, decrypting)
        result.append(made)
        steps.append(f"第 {number} 块：" + "，".join(lines))
    return bytes(result), steps


def _block(mode: str, key: int, chain: int, byte: int, decrypting: bool) -> tuple[int, int, list[str]]:
    """(output, next chaining value, lines) of one block."""
    if mode in ("ECB", "CBC") and decrypting:
        opened, lines = _backward(byte, key)
        return (opened, chain, lines) if mode == "ECB" else (opened ^ chain, byte, [*lines, xor_line(opened, chain)])
    if mode == "ECB":
        made, lines = _forward(byte, key)
        return made, chain, lines
    if mode == "CBC":
        made, lines = _forward(byte ^ chain, key)
        return made, made, [xor_line(byte, chain), *lines]
    stream, lines = _forward(chain, key)
    made = stream ^ byte
    following = {"CFB": byte if decrypting else made, "OFB": stream, "CTR": (chain + 1) % 256}[mode]
    return made, following, [*lines, xor_line(stream, byte)]


def _forward(x: int, key: int) -> tuple[int, list[str]]:
    mixed = x ^ key
    turned = (mixed << 3 | mixed >> 5) & 0xFF
    return turned, [xor_line(x, key), f"0x{mixed:02X} <<< 3 = 0x{turned:02X}"]


def _backward(y: int, key: int) -> tuple[int, list[str]]:
    turned = (y >> 3 | y << 5) & 0xFF
    return turned ^ key, [f"0x{y:02X} >>> 3 = 0x{turned:02X}", xor_line(turned, key)]


def _show_bytes(parameters: Parameters) -> Parameters:
    return parameters | {"data": spaced(parameters["data"])}


def _show_mode(parameters: Parameters) -> Parameters:
    ciphertext, _ = _run(parameters, bytes.fromhex(parameters["data"]), decrypting=False)
    start = {"ECB": "", "CTR": f"，初始计数器 {parameters['iv']}（每块加 1）"}.get(parameters["mode"], f"，IV = {parameters['iv']}")
    shown = {"data": spaced(parameters["data"]), "ciphertext": spaced(ciphertext.hex().upper()), "start": start, "toy": _TOY}
    return parameters | shown


FAMILIES = (
    Family("pkcs7_pad", "symmetric", _draw_padding, _pad, (
        "分组长度为 {block} 字节，数据是 {data}（十六进制），按 PKCS#7 填充，给出结果。",
        "对十六进制数据 {data} 做 PKCS#7 填充，每块 {block} 字节，结果是什么？",
        "把 {data} 填充到 {block} 字节的整数倍（PKCS#7），写出填充后的结果。",
    ), _show_bytes),
    Family("pkcs7_check", "symmetric", _draw_padded, _check_padding, (
        "解密得到的最后一个分组是 {data}（{block} 字节），它的 PKCS#7 填充合法吗？结论写“合法”或“不合法”。",
        "判断分组 {data} 的 PKCS#7 填充是否正确，分组长度 {block} 字节，结论写“合法”或“不合法”。",
        "检查 {block} 字节分组 {data} 末尾的 PKCS#7 填充，结论用“合法”或“不合法”回答。",
    ), _show_bytes),
    Family("mode_encrypt", "symmetric", _draw_mode, _encrypt, (
        "{toy}，k = {key}。用 {mode} 模式加密 {data}（十六进制）{start}，求密文。",
        "{toy}。密钥 k = {key}，明文 {data}，{mode} 模式{start}，均为十六进制，密文是什么？",
        "{toy}。取 k = {key}，以 {mode} 模式{start}，对十六进制数据 {data} 逐块加密，给出密文。",
    ), _show_mode),
    Family("mode_decrypt", "symmetric", _draw_mode, _decrypt, (
        "{toy}，k = {key}。用 {mode} 模式解密 {ciphertext}（十六进制）{start}，求明文。",
        "{toy}。密钥 k = {key}，密文 {ciphertext}，{mode} 模式{start}，均为十六进制，明文是什么？",
        "{toy}。取 k = {key}，以 {mode} 模式{start}，对十六进制密文 {ciphertext} 逐块解密，给出明文。",
    ), _show_mode),
)  # fmt: skip

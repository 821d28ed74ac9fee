"""XOR with a repeated key, the one-time pad and what its reuse gives away, and linear feedback shift registers."""

from data.exercises.answer import Bits, Bytes, Letters, Number, spaced
from data.exercises.dice import Dice
from data.exercises.exercise import Family, Parameters, Solution
from data.exercises.words import draw_text

_LENGTHS = (2, 4, 6, 8, 12)


def xor_line(left: int, right: int) -> str:
    """One byte XORed with another, as a line of working shows it."""
    return f"0x{left:02X} ⊕ 0x{right:02X} = 0x{left ^ right:02X}"


def _draw_xor(dice: Dice, level: int) -> Parameters:
    """Plain text and a shorter key, both in hexadecimal."""
    length = _LENGTHS[level - 1]
    return {"data": dice.bytes(length).hex().upper(), "key": dice.bytes(dice.between(1, max(1, length // 2))).hex().upper()}


def _solve_xor(parameters: Parameters) -> Solution:
    data, key = bytes.fromhex(parameters["data"]), bytes.fromhex(parameters["key"])
    pairs = [(byte, key[place % len(key)]) for place, byte in enumerate(data)]
    result = bytes(left ^ right for left, right in pairs).hex().upper()
    return Solution(
        ["密钥循环使用，逐字节异或：", *(xor_line(*pair) for pair in pairs)], (Bytes("密文", result),), "再与同样的密钥异或一次就还原明文。"
    )


def _draw_pad(dice: Dice, level: int) -> Parameters:
    """A text and a pad of its length."""
    length = _LENGTHS[level - 1]
    return {"first": draw_text(dice, 4)[:length], "pad": dice.bytes(length).hex().upper()}


def _draw_reuse(dice: Dice, level: int) -> Parameters:
    """A second text of the same length, which the pad, wrongly, serves too."""
    return _draw_pad(dice, level) | {"second": draw_text(dice, 4)[: _LENGTHS[level - 1]]}


def _solve_pad(parameters: Parameters) -> Solution:
    text, pad = parameters["first"].encode(), bytes.fromhex(parameters["pad"])
    steps = [f"{chr(byte)} 的 ASCII 是 0x{byte:02X}，{xor_line(byte, mask)}" for byte, mask in zip(text, pad, strict=True)]
    return Solution(steps, (Bytes("密文", _xor(text, pad)),), "密钥与消息等长、真随机且只用一次，才有完善保密。")


def _solve_reuse(parameters: Parameters) -> Solution:
    shown = _show_reuse(parameters)
    one, two = bytes.fromhex(shown["c1"]), bytes.fromhex(shown["c2"])
    steps = ["两条密文异或，密钥抵消，得到两条明文的异或，再异或已知明文"]
    for left, right, known in zip(one, two, parameters["first"].encode(), strict=True):
        difference = left ^ right
        steps.append(f"{xor_line(left, right)}，{xor_line(difference, known)}，对应 ASCII 字母 {chr(difference ^ known)}")
    return Solution(steps, (Letters("明文", parameters["second"]),), "密钥重复使用后，知道一条明文就知道另一条。")


def _xor(left: bytes, right: bytes) -> str:
    return bytes(a ^ b for a, b in zip(left, right, strict=True)).hex().upper()


def _show_xor(parameters: Parameters) -> Parameters:
    return {name: spaced(parameters[name]) for name in ("data", "key")}


def _show_pad(parameters: Parameters) -> Parameters:
    return parameters | {"pad": spaced(parameters["pad"])}


def _show_reuse(parameters: Parameters) -> Parameters:
    pad = bytes.fromhex(parameters["pad"])
    c1, c2 = (_xor(parameters[name].encode(), pad) for name in ("first", "second"))
    return {"first": parameters["first"], "c1": spaced(c1), "c2": spaced(c2)}


def _draw_register(dice: Dice, level: int) -> Parameters:
    """size: cells.  tap: s(n + size) = s(n + tap) ⊕ s(n).  start: first bits, not all zero."""
    size = (3, 4, 5, 6, 7)[level - 1]
    start = dice.between(1, 2**size - 1)
    return {
        "tap": dice.between(1, size - 1),
        "start": f"{start:0{size}b}",
        "count": dice.between(2 * size, (10, 14, 18, 24, 30)[level - 1]),
    }


def _solve_register(parameters: Parameters) -> Solution:
    bits, tap, count = [int(bit) for bit in parameters["start"]], parameters["tap"], parameters["count"]
    size, steps = len(bits), []
    for place in range(count - size):
        bits.append(bits[place + tap] ^ bits[place])
        steps.append(f"s{place + size} = s{place + tap} ⊕ s{place} = {bits[place + tap]} ⊕ {bits[place]} = {bits[-1]}")
    output = "".join(map(str, bits[:count]))
    return Solution([f"初态 {parameters['start']} 就是 s0 到 s{size - 1}", *steps], (Bits("输出", output),), f"前 {count} 位依次写出即可。")


def _solve_period(parameters: Parameters) -> Solution:
    """The state after each step until the start comes back; with tap >= 1 and s(n) in the sum the register is invertible."""
    start, tap = parameters["start"], parameters["tap"]
    state, steps = start, []
    while state != start or not steps:
        fed = int(state[tap]) ^ int(state[0])
        state = state[1:] + str(fed)
        steps.append(f"第 {len(steps) + 1} 步：反馈 {fed}，状态 {state}")
    return Solution(steps, (Number("周期", len(steps)),), f"回到初态 {start} 用了 {len(steps)} 步。")


def _draw_cycle(dice: Dice, level: int) -> Parameters:
    """As a register, small enough that every state can be written down."""
    size = dice.choice(((3, 4), (4,), (4, 5), (5,), (5,))[level - 1])
    return {"tap": dice.between(1, size - 1), "start": f"{dice.between(1, 2**size - 1):0{size}b}"}


def _show_register(parameters: Parameters) -> Parameters:
    size = len(parameters["start"])
    return parameters | {"size": size, "rule": f"s(n+{size}) = s(n+{parameters['tap']}) ⊕ s(n)"}


FAMILIES = (
    Family("xor", "symmetric", _draw_xor, _solve_xor, (
        "明文字节（十六进制）是 {data}，密钥是 {key}，密钥循环使用，逐字节异或，求密文。",
        "用密钥 {key} 对数据 {data} 做循环异或加密，都是十六进制，密文是什么？",
        "把十六进制数据 {data} 与循环重复的密钥 {key} 异或，给出密文。",
    ), _show_xor),
    Family("one_time_pad", "classical", _draw_pad, _solve_pad, (
        "用一次一密加密 {first}（ASCII），密钥（十六进制）是 {pad}，求十六进制密文。",
        "消息 {first} 按 ASCII 编码后与一次性密钥 {pad} 异或，密文的十六进制是什么？",
        "一次一密练习：明文 {first}，密钥 {pad}（十六进制），逐字节异或，给出密文。",
    ), _show_pad),
    Family("pad_reuse", "attack", _draw_reuse, _solve_reuse, (
        "两条消息误用了同一个一次性密钥，密文是 {c1} 和 {c2}（十六进制）。已知第一条明文是 {first}，求第二条明文。",
        "一次一密的密钥被用了两次：{first} 的密文是 {c1}，另一条的密文是 {c2}，另一条的明文是什么？",
        "已知 {c1} 是 {first} 加密所得，{c2} 用的是同一段密钥，恢复第二条明文（ASCII 字母）。",
    ), _show_reuse),
    Family("lfsr_output", "symmetric", _draw_register, _solve_register, (
        "线性反馈移位寄存器满足 {rule}，初态为 {start}，写出前 {count} 位输出。",
        "按递推式 {rule}，从初态 {start}（依次为 s0、s1……）出发，求前 {count} 位输出。",
        "{size} 级 LFSR 的反馈是 {rule}，初始 {size} 位为 {start}，给出包括初态在内的 {count} 位输出。",
    ), _show_register),
    Family("lfsr_period", "symmetric", _draw_cycle, _solve_period, (
        "线性反馈移位寄存器满足 {rule}，初态 {start}，状态序列的周期是多少？",
        "{size} 级 LFSR 按 {rule} 反馈，从状态 {start} 开始，多少步后第一次回到这个状态？记为周期。",
        "逐步列出 {rule} 的寄存器从 {start} 出发的状态，求周期。",
    ), _show_register),
)  # fmt: skip

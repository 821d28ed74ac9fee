"""The alphabet in which byte-level BPE (GPT-2, Llama 3, Qwen) writes bytes as printable characters, and back.

Source: `bytes_to_unicode` of openai/gpt-2 `src/encoder.py`.
"""


def _alphabet() -> dict[int, str]:
    """Printable bytes stand for themselves, the others for U+0100 and up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + number) for number, byte in enumerate(others)}


CHARACTER_OF = _alphabet()
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}


def token_bytes(token: str) -> bytes:
    """The bytes of a vocabulary entry; characters outside the alphabet stand for their own UTF-8."""
    return b"".join(bytes([BYTE_OF[c]]) if c in BYTE_OF else c.encode() for c in token)


def token_text(data: bytes) -> str:
    """The vocabulary entry of some bytes."""
    return "".join(CHARACTER_OF[byte] for byte in data)

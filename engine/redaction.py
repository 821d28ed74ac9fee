"""Secrets out of everything that is written down: tokens by their look, passwords in addresses, values of the environment's secrets.

Whatever goes to a file of a run passes here: events, logs, configuration, commands. What native code prints by itself is
found in engine.log afterwards (`engine.log_redaction`).
"""

import io
import os
import re
from functools import cache
from typing import TextIO

MARK = "[redacted]"
SIGNS = ("hf_", "ghp_", "gho_", "github_pat_", "glpat-", "sk-", "ms-", "wandb_v1_", "://")
"""A text without any of these holds no token by look; most have none, and looking costs a tenth of a microsecond each."""
TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[po]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{18,}|sk-[A-Za-z0-9_-]{24,}"
    r"|ms-[0-9a-f]{8}-[0-9a-f-]{20,}|wandb_v1_\w{20,})|(?<=://)[^/\s@\"'<>\\]+(?=@)"
)
TOKEN_BYTES = re.compile(TOKENS.pattern.encode())
SECRET_NAME = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|ACCESS_KEY|CREDENTIALS?)$")
SHORTEST = 8
"""Characters of a value that can be a secret; a shorter one would be found in innocent text."""


def redact(text: str) -> str:
    """`text` with every secret in it replaced by MARK."""
    for value in _secrets():
        if value in text:
            text = text.replace(value, MARK)
    if not any(sign in text for sign in SIGNS):
        return text
    return TOKENS.sub(MARK, text)


def redact_bytes(line: bytes) -> bytes:
    """The same for UTF-8; JSON stays JSON."""
    if not any(sign in line for sign in _signs()):
        return line
    return redact(line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def secret_spans(data: bytes) -> list[tuple[int, int]]:
    """Where secrets begin and end in raw bytes; may overlap."""
    if not any(sign in data for sign in _signs()):
        return []
    spans = [match.span() for match in TOKEN_BYTES.finditer(data)]
    for value in map(os.fsencode, _secrets()):
        spans += [match.span() for match in re.finditer(re.escape(value), data)]
    return spans


class RedactedStream(io.TextIOBase):
    """Stands before a stream of the process, so that no traceback and no library writes a secret into engine.log."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:
        return self._stream.encoding


@cache
def _secrets() -> tuple[str, ...]:
    """Values of this process's environment whose names say that they are secret, longest first."""
    found = {value for name, value in os.environ.items() if SECRET_NAME.search(name.upper()) and len(value) >= SHORTEST}
    return tuple(sorted(found, key=len, reverse=True))


@cache
def _signs() -> tuple[bytes, ...]:
    return tuple(os.fsencode(sign) for sign in (*SIGNS, *_secrets()))

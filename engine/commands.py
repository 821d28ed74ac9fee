"""What consoles ask of the engine: one JSON line each, answered by a `command_done` event with the same id."""

from typing import Literal

import msgspec
from msgspec import Struct

Name = Literal["pause", "resume", "stop", "checkpoint", "evaluate", "sample"]


class Command(Struct, frozen=True, kw_only=True):
    """id: unique, chosen by the console.  time: Unix seconds.  prompt: only for `sample`, empty = the fixed prompts."""

    id: str
    time: float
    type: Name
    prompt: str = ""


def encode(command: Command) -> bytes:
    """One line of UTF-8 JSON, newline included."""
    return msgspec.json.encode(command) + b"\n"


def decode(line: bytes) -> Command | None:
    """The command of one line, or None for a line that is none (a torn write, an unknown type)."""
    try:
        return msgspec.json.decode(line, type=Command)
    except msgspec.MsgspecError:
        return None

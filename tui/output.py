"""Where a command's words go: data to stdout, narration to stderr, each line at once. Callers pass outside text through `tui.gate`."""

import os
import sys
from typing import Any

import msgspec

from tui import gate


def show(text: str = "") -> None:
    """One line (or several) of data."""
    print(text, flush=True)


def show_json(value: Any) -> None:
    """`value` as indented JSON, Chinese unescaped; numbers that are not finite become null.

    Characters a terminal would obey or hide are escaped, so that the text is harmless and the value the same.
    """
    show(gate.in_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def narrate(text: str = "") -> None:
    """One line (or several) for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """The one message of a command that failed."""
    narrate(f"danlu: {text}")


def make_unbreakable() -> None:
    """Let a character that stdout's or stderr's encoding lacks come out escaped instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def has_terminal() -> bool:
    """Whether a screen can be drawn and keys be read: Textual draws on stderr, and a piped stdout means lines are wanted."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM") != "dumb" and all(stream is not None and stream.isatty() for stream in streams)


def speaks_unicode() -> bool:
    """Whether the terminal's encoding has our glyphs."""
    return (getattr(sys.stderr, "encoding", "") or "").lower().startswith("utf")

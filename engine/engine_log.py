"""The end of engine.log, the engine's raw output: what explains an end without a word. Read whatever it holds; not gated."""

from collections.abc import Sequence

from engine.run_directory import RunDirectory

TAIL_BYTES = 65536
EXPLAINING = 300
"""Lines that hold a crash's stacks of all threads and what was written before them."""
FATAL = "Fatal Python error: "
"""How faulthandler begins what it writes of a crash in native code."""
LONGEST_LINE = 2000
"""Characters kept of a line: a flood without a newline is still shown by its end."""


def last_lines(run: RunDirectory, lines: int = 8) -> list[str]:
    """The last lines with something in them, [] when there is none. Bytes that are no UTF-8 become U+FFFD."""
    try:
        with open(run.engine_log, "rb") as file:
            start = max(0, file.seek(0, 2) - TAIL_BYTES)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    found = [line[-LONGEST_LINE:] for line in text.splitlines() if line.strip()]
    return found[1 if start and len(found) > 1 else 0 :][-lines:]  # the first may be the end of a longer one


def without_stacks(lines: Sequence[str]) -> list[str]:
    """What the engine itself said before its crash; `lines` as they are where there was none."""
    crash = next((number for number, line in enumerate(lines) if line.startswith(FATAL)), len(lines))
    return list(lines[:crash] or lines)

"""Progress of a command that takes long, on stderr: one line redrawn on a terminal, a new line now and then elsewhere."""

import sys
import time

from tui import amounts, output
from tui.gate import clip, pad, safe

PROGRESS_EVERY_S = 5.0


class ProgressLine:
    """One piece of work; `close` it at its end."""

    WIDTH = 79

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told, self._detail, self._text = 0.0, "", ""

    def tell(self, done: int, total: int, detail: str) -> None:
        """done, total: bytes, or steps where they are few; total 0 when unknown."""
        now = time.monotonic()
        if detail == self._detail and now - self._told < (0.1 if self._is_terminal else PROGRESS_EVERY_S) and done < total:
            return
        self._told, self._detail = now, detail
        size = f"  {100 * done // total} %" if done and total else ""
        if total > 1 << 20:
            size += f"  {amounts.size(done)} / {amounts.size(total)}"
        text = clip(safe(detail), self.WIDTH - len(size)) + size
        if text == self._text:
            return
        self._text = text
        if self._is_terminal:
            print("\r" + pad(text, self.WIDTH), end="", file=sys.stderr, flush=True)
        else:
            output.narrate(text)

    def close(self) -> None:
        """Leave the cursor on a line of its own."""
        if self._is_terminal and self._told:
            output.narrate()

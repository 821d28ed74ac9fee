"""A real program in a real pseudo-terminal, its screen read as a person reads it."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pyte

from tests.patience import wait_until


class Terminal:
    """`python -m tui ARGUMENTS` at a size; `press` types, `wait_for` waits until a text is on the screen."""

    def __init__(self, arguments: list[str], cwd: Path, columns: int = 120, rows: int = 40, **environment: str):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._master = master
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        variables = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | environment
        variables["PYTHONFAULTHANDLER"] = "1"
        for name in ("PYTEST_VERSION", "LINES", "COLUMNS"):  # a process that has loaded readline tells its children a size of its own
            variables.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui", *arguments],
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=variables,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call, no lock is taken
        )
        os.close(slave)
        self.raw = bytearray()
        """Every byte the program wrote."""
        self._is_open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """The screen, a line a row."""
        with self._lock:
            # Not pyte's `display`: it fails on a half of a wide character that something overwrote.
            cells = ([self._screen.buffer[y][x].data for x in range(self._screen.columns)] for y in range(self._screen.lines))
            return "\n".join(map("".join, cells))

    def press(self, keys: str) -> None:
        """Type `keys` as a terminal sends them."""
        os.write(self._master, keys.encode())

    def forget(self) -> None:
        """Empty the screen, as a shell that writes over it does."""
        with self._lock:
            self._screen.reset()

    def wait_for(self, text: str) -> None:
        """Until `text` is on the screen. Fails with the screen when the program ends before."""
        wait_until(lambda: text in self.text or self.process.poll() is not None, lambda: f"{text!r} on the screen:\n{self._last_words()}")
        assert text in self.text, f"ended with {self.process.returncode} before {text!r} was seen:\n{self.text}"

    def close(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        self._is_open = False
        self._reader.join()
        os.close(self._master)

    def _last_words(self) -> str:
        """The screen, and what each thread of the program is at: it ends here, with the stacks that faulthandler writes."""
        seen, written = self.text, len(self.raw)
        self.process.send_signal(signal.SIGABRT)
        self.process.wait()
        self.close()
        return f"{seen}\n{self.raw[written:].decode('utf-8', 'replace')}"

    def _read(self) -> None:
        """Until closed; a read under way would keep the terminal open, so it is only begun when there is something."""
        with contextlib.suppress(OSError):
            while self._is_open:
                if select.select([self._master], [], [], 0.05)[0]:
                    data = os.read(self._master, 65536)
                    with self._lock:
                        self.raw += data
                        self._stream.feed(data)


def settle(terminal: Terminal, looks: int = 3) -> None:
    """Until the program has written nothing for so many looks in a row, or has ended."""
    seen, quiet = len(terminal.raw), 0

    def is_quiet() -> bool:
        nonlocal seen, quiet
        seen, quiet = len(terminal.raw), quiet + 1 if len(terminal.raw) == seen else 0
        return quiet > looks or terminal.process.poll() is not None

    wait_until(is_quiet, "the screen to settle")

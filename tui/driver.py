"""The terminal driver, hardened against bytes that are no UTF-8.

Terminals that were left in the oldest mouse mode send `ESC [ M` and three raw bytes after a tmux re-attach or an SSH
reconnect; textual 8.2.8 decodes its input strictly and dies of them. A terminal that goes without a signal ends its input, which
textual asks for again and again. One that was halted (SIGSTOP) and goes on is started by textual a second time: two threads then read
the keys, and at the end the terminal stays raw or the process never ends. Only these places are touched here.
"""

import asyncio
import contextlib
import os
import re
from codecs import getincrementaldecoder
from collections.abc import Callable

from textual.driver import Driver

X10_MOUSE = re.compile(rb"\x1b\[M[\s\S]{3}")
X10_BEGUN = re.compile(rb"\x1b\[M[\s\S]{0,2}\Z")
TERMINAL_LOST = 128 + 1
"""As if ended by SIGHUP."""


class InputDecoder:
    """Bytes of the terminal as text, in pieces: old mouse reports are left out, undecodable bytes dropped."""

    def __init__(self, at_end: Callable[[], None] = lambda: None) -> None:
        """at_end: called when the terminal has gone; textual would ask it again and again, at full load."""
        self._at_end = at_end
        self._utf8 = getincrementaldecoder("utf-8")("ignore")
        self._held = b""

    def decode(self, data: bytes, final: bool = False) -> str:
        """The text that `data` completes; a report cut in two by the read waits for its rest."""
        if not data and not final:
            self._at_end()
        data = X10_MOUSE.sub(b"", self._held + data)
        begun = None if final else X10_BEGUN.search(data)
        self._held = data[begun.start() :] if begun else b""
        return self._utf8.decode(data[: begun.start()] if begun else data, final)


def _leave() -> None:
    """End the process: there is nobody to restore a screen for, and the run goes on by itself."""
    os._exit(TERMINAL_LOST)


def hardened(driver: type[Driver]) -> type[Driver]:
    """`driver` with `InputDecoder` in place of its strict one, where it is textual's driver for Unix terminals."""
    try:
        import termios
        import tty

        from textual.drivers import linux_driver
    except ImportError:  # no termios: Windows has a driver of its own, which reads events, not bytes
        return driver
    if driver is not linux_driver.LinuxDriver:
        return driver

    class HardenedDriver(linux_driver.LinuxDriver):
        def run_input_thread(self) -> None:
            # The one name textual takes its decoder from.
            linux_driver.getincrementaldecoder = lambda encoding: lambda: InputDecoder(_leave)
            try:
                super().run_input_thread()
            except OSError:
                _leave()

        def _sigcont_application(self, *signal_and_frame) -> None:
            if self._must_signal_resume:  # ctrl+z had put everything away
                super()._sigcont_application(*signal_and_frame)
                return
            self._take_the_terminal()
            # A shell may have written over the screen. Nothing else may be done in a signal's handler.
            asyncio.get_running_loop().call_soon_threadsafe(self._app.call_later, self._app.screen.refresh)

        def _take_the_terminal(self) -> None:
            """Raw input again, which a shell may have ended meanwhile; one that does not give its terminal halts us again."""
            with contextlib.suppress(termios.error):
                attributes = termios.tcgetattr(self.fileno)
                attributes[tty.IFLAG] = self._patch_iflag(attributes[tty.IFLAG])
                attributes[tty.LFLAG] = self._patch_lflag(attributes[tty.LFLAG])
                termios.tcsetattr(self.fileno, termios.TCSANOW, attributes)

    return HardenedDriver

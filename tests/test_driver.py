"""Input of the terminal as text, whatever bytes come."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.drivers.headless_driver import HeadlessDriver

from engine.processes import state_of
from tests.patience import wait_until
from tests.terminal import Terminal
from tui.driver import InputDecoder, hardened

REPORT = b"\x1b[M\xa0\xc9\xff"
"""A legacy X10 mouse report at a column beyond 95, which is no UTF-8."""


def test_an_old_mouse_report_is_no_text_and_no_crash():
    """Terminals send it after a tmux re-attach; a strict decoder dies of it."""
    assert InputDecoder().decode(b"p" + REPORT + "丹".encode()) == "p丹"


def test_a_report_cut_by_the_read_is_still_left_out():
    """Wherever the read ends behind the report's opening, its rest is waited for."""
    for cut in range(len(b"\x1b[M"), len(REPORT)):
        decoder = InputDecoder()

        assert decoder.decode(b"a" + REPORT[:cut]) + decoder.decode(REPORT[cut:] + b"b") == "ab", cut


def test_a_lone_escape_key_is_not_held_back():
    """Escape closes dialogs at once; only the beginning of a report waits."""
    assert InputDecoder().decode(b"\x1b") == "\x1b"
    assert InputDecoder().decode(b"\x1b[A") == "\x1b[A"


@given(st.text(alphabet=st.characters(exclude_characters="\x1b", exclude_categories=["Cs"])), st.data())
def test_text_in_any_pieces_stays_the_same(text, data):
    """Characters that are cut in two by a read come whole."""
    raw, decoder, out = text.encode(), InputDecoder(), ""
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        out, raw = out + decoder.decode(raw[:size]), raw[size:]

    assert out + decoder.decode(b"", final=True) == text


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_no_bytes_raise(pieces):
    """A line fault or a pasted file is survived."""
    decoder = InputDecoder()

    assert all(isinstance(decoder.decode(piece), str) for piece in pieces)
    assert isinstance(decoder.decode(b"", final=True), str)


def test_the_end_of_input_is_noticed():
    """A terminal that went without a signal gives no bytes for ever; the console must not ask it at full load."""
    ends = []
    decoder = InputDecoder(lambda: ends.append("gone"))
    decoder.decode(b"q")
    decoder.decode(b"", final=True)
    assert ends == []

    decoder.decode(b"")
    assert ends == ["gone"]


def test_other_drivers_are_left_as_they_are():
    """Only textual's driver for Unix terminals decodes bytes of its own."""
    assert hardened(HeadlessDriver) is HeadlessDriver


@pytest.mark.parametrize("times", [1, 3])
def test_a_console_that_was_halted_goes_on_as_it_was(tmp_path, times):
    """SIGSTOP and SIGCONT start no second reader of the keys; what a shell did to the screen is drawn over, and it can be left at once."""
    terminal = Terminal(["--lang", "en", "--runs-dir", "runs"], tmp_path)
    terminal.wait_for("▸5 Runs")
    threads = threads_of(terminal.process.pid)
    for _ in range(times):
        os.kill(terminal.process.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(terminal.process.pid) == "T", "the halt")
        terminal.forget()
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.wait_for("▸5 Runs")

    assert threads_of(terminal.process.pid) == threads
    terminal.press("q")
    wait_until(lambda: terminal.process.poll() is not None, "the console to leave")
    terminal.close()
    assert terminal.process.returncode == 0


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))

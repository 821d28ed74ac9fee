"""Why an engine died, from how its process ended and what it left."""

import signal

import pytest

from engine import death
from engine.death import cause_of, guess, memory_kills
from engine.engine_log import without_stacks

SEGFAULT = [
    "Fatal Python error: Segmentation fault",
    "",
    "Thread 0x01 (most recent call first):",
    '  File "/x/threading.py", line 331 in wait',
    "",
    "Current thread 0x00 (most recent call first):",
    '  File "/x/loss.py", line 7 in backward',
]


@pytest.mark.parametrize(
    ("status", "kills", "output", "code", "says"),
    [
        (-signal.SIGSEGV, 0, SEGFAULT, "crash", "SIGSEGV (Segmentation fault) in backward (loss.py:7)"),
        (-signal.SIGABRT, 0, [], "crash", "SIGABRT"),
        (-signal.SIGKILL, 2, [], "host_memory", "max_seq_length"),
        (-signal.SIGKILL, 0, [], "killed", "SIGKILL"),
        (-signal.SIGXCPU, 0, [], "signal", "SIGXCPU"),
        (7, 0, [], "exit", "exit code 7"),
        (-signal.SIGRTMIN - 3, 0, [], "signal", "signal 37"),
    ],
)
def test_a_death_has_its_cause(status, kills, output, code, says):
    """Signals, memory kills, crashes and bare exits are told apart, each with what to do."""
    cause = cause_of(status, kills, output)

    assert cause.code == code
    assert says in cause.text


def test_the_stacks_of_a_crash_do_not_hide_what_was_said_before_it():
    """A person sees the engine's last lines; where there are only stacks, those."""
    assert without_stacks(["loading", "driver: bad state", *SEGFAULT]) == ["loading", "driver: bad state"]
    assert without_stacks(["loading"]) == ["loading"]
    assert without_stacks(SEGFAULT) == SEGFAULT


def test_a_death_before_the_machine_started_is_a_restart(monkeypatch):
    """Power loss and reboots leave nobody who could have waited."""
    monkeypatch.setattr(death, "_boot_time", lambda: 1000.0)

    assert guess([], 900.0).code == "restart"
    assert guess([], 1100.0).code == "unknown"
    assert guess(SEGFAULT, 1100.0).code == "crash"


def test_memory_kills_are_counted_in_the_own_cgroup_first(tmp_path):
    """A kill elsewhere on the machine explains nothing here; without a cgroup's count the kernel's is taken."""
    (tmp_path / "job").mkdir()
    membership, kernel = tmp_path / "cgroup", tmp_path / "vmstat"
    membership.write_text("0::/job\n")
    kernel.write_text("pgfault 9\noom_kill 5\n")

    assert memory_kills(tmp_path, membership, kernel) == 5
    (tmp_path / "job" / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert memory_kills(tmp_path, membership, kernel) == 2

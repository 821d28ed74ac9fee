"""The watchdog: a phase without progress is told once, with its name, and so is that it goes on."""

import pytest

from engine import events
from engine.watchdog import PATIENCE_S, Watchdog
from tests.console_runs import step


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def watchdog(clock, told):
    return Watchdog(lambda code, text: told.append((code, text)), clock)


@pytest.mark.parametrize("phase", PATIENCE_S)
def test_a_phase_without_progress_is_told_once(watchdog, clock, told, phase):
    """After its patience there is one warning with the phase and the time, and no second one."""
    watchdog.saw(events.Phase(name=phase))
    clock.now += PATIENCE_S[phase] - 1
    watchdog.look()
    assert told == []

    clock.now += 1
    watchdog.look()
    watchdog.look()
    assert [code for code, _ in told] == ["stalled"]
    assert f"phase {phase} for {PATIENCE_S[phase]:.0f} s" in told[0][1]


def test_the_machines_load_is_no_progress(watchdog, clock, told):
    """The thread that measures it lives on while the loop hangs."""
    watchdog.saw(events.Phase(name="train"))
    for _ in range(10):
        clock.now += PATIENCE_S["train"] / 9
        watchdog.saw(events.Hardware(gpus=[], rss_gib=1.0, cpu_percent=1.0))
        watchdog.look()

    assert [code for code, _ in told] == ["stalled"]


def test_slow_steps_are_given_their_time(watchdog, clock, told):
    """Where a step takes minutes, ten of them must pass before it is called stuck."""
    watchdog.saw(events.Phase(name="train"))
    watchdog.saw(step(1, step_s=200.0))
    clock.now += 1999
    watchdog.look()
    assert told == []

    clock.now += 1
    watchdog.look()
    assert [code for code, _ in told] == ["stalled"]


def test_a_pause_may_last(watchdog, clock, told):
    """Nobody waits for a run that a person holds."""
    watchdog.saw(events.Phase(name="train"))
    watchdog.saw(events.Paused(paused=True, step=3))
    clock.now += 1e6
    watchdog.look()

    assert told == []


def test_going_on_is_told_and_watched_again(watchdog, clock, told):
    """A disk that came back: the warning is taken back, and the next hang is told anew."""
    watchdog.saw(events.Phase(name="save"))
    for _ in range(2):
        clock.now += PATIENCE_S["save"]
        watchdog.look()
        watchdog.saw(events.Phase(name="save", done=1))

    assert [code for code, _ in told] == ["stalled", "went_on"] * 2

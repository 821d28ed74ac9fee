"""Memory watched between steps: when it is short, what is done, and how often."""

import pytest

pytest.importorskip("torch")

import torch

from engine.pressure import CALM_STEPS, Pressure, Reading, peak_gib, read


class Machine:
    """A machine whose memory the test moves; steps down are counted, warnings kept."""

    def __init__(self, available):
        self.available, self.stepped, self.warned = available, [], []
        self.pressure = Pressure(lambda: Reading(self.available, held=2.0, peak=4.0), self._warn, every_s=0.0)

    def _warn(self, code, text):
        self.warned.append((code, text))

    def before_step(self, can_step_down=True):
        if self.pressure.is_high():
            self.pressure.act(can_step_down, self.stepped.append)


def test_enough_memory_changes_nothing():
    """The next step needs 2 GiB, 3 are there."""
    machine = Machine(available=3.0)
    machine.before_step()

    assert machine.stepped == machine.warned == []


def test_short_memory_steps_down_before_the_step():
    """Others took memory: 1.5 GiB are left for a step of 2."""
    machine = Machine(available=1.5)
    machine.before_step()

    assert len(machine.stepped) == 1 and "1.5 GiB are left" in machine.stepped[0]


def test_the_effect_of_a_step_down_is_awaited():
    """One action, then some calm steps; half the batch then needs half as much."""
    machine = Machine(available=1.5)
    for _ in range(CALM_STEPS + 5):
        machine.before_step()

    assert len(machine.stepped) == 1


def test_with_nothing_left_to_give_up_it_warns():
    """The user can still close something."""
    machine = Machine(available=0.5)
    machine.before_step(can_step_down=False)

    assert machine.stepped == [] and machine.warned[0][0] == "memory_pressure" and "close other programs" in machine.warned[0][1]


def test_this_process_is_read():
    """On a CPU: what the machine has left, and what this process holds and held."""
    seen = read(torch.device("cpu"))

    assert seen.available > 0 and 0 < seen.held <= seen.peak + 0.01 and seen.peak == peak_gib(torch.device("cpu"))

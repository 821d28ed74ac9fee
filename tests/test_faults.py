"""The fast subset of `make faults`: a few injections of every fault that needs no terminals and no families of processes."""

import pytest

from tests.faults.bench import modules, run_fault

SEED = 20261124
LONG = {"F2", "F3", "F8", "F10", "F11", "F12", "F15", "F17"}
"""They start consoles, launchers and ranks by the dozen and take minutes; only `make faults` runs them."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.mark.parametrize("name", sorted(modules().keys() - LONG))
def test_nothing_is_lost(name, shared):
    """What the fault's module promises holds for the few injections of the quick subset."""
    bench = run_fault(name, modules()[name], SEED, shared, quick=True)

    assert bench.losses == []
    assert bench.injected or bench.notes

"""The fast subset of `make faults`: every fault a few times."""

import pytest

from tests.faults.bench import modules, run_fault

SEED = 20261124


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.mark.parametrize("name", modules())
def test_nothing_is_lost(name, shared):
    """What the fault's module promises holds for the few injections of the quick subset."""
    bench = run_fault(name, modules()[name], SEED, shared, quick=True)

    assert bench.losses == []
    assert bench.injected or bench.notes

"""How sure a forecast is, and what earlier runs on a machine teach."""

import pytest

from engine.certainty import Certainty, _file, read_certainties, remember


def test_the_band_holds_the_peak_and_the_probability_falls_with_less_memory():
    """Nine runs of ten within the band; at exactly the peak it is even."""
    sure = Certainty()
    low, high = sure.band(10.0)

    assert low < 10.0 < high
    assert sure.probability(10.0, 10.0) == pytest.approx(0.5)
    assert sure.probability(10.0, 9.0) < 0.05 and sure.probability(10.0, 11.0) > 0.95
    assert sure.holds(10.0, 10.6) and not sure.holds(10.0, 10.4)


def test_runs_correct_the_forecast_and_narrow_its_band(tmp_path):
    """Eight runs that all measured 10 % more: the factor follows, and the spread shrinks."""
    for _ in range(8):
        remember(tmp_path, "CPU", 2.0, 2.2)
    learned = read_certainties(tmp_path)["CPU"]

    assert (learned.factor, learned.runs) == (pytest.approx(1.1), 8)
    assert learned.spread < Certainty().spread


def test_runs_that_disagree_widen_the_band(tmp_path):
    """What was seen counts, not what is hoped."""
    for measured in (1.6, 2.4, 1.7, 2.3, 2.0):
        remember(tmp_path, "CPU", 2.0, measured)

    assert read_certainties(tmp_path)["CPU"].spread > Certainty().spread


def test_one_strange_run_hardly_counts(tmp_path):
    """The median and the middle distances decide."""
    for measured in (3.8, 2.0, 2.02, 1.98, 2.0):
        remember(tmp_path, "CPU", 2.0, measured)
    learned = read_certainties(tmp_path)["CPU"]

    assert learned.factor == 1.0 and learned.spread < Certainty().spread


def test_devices_are_told_apart_and_only_the_newest_runs_are_kept(tmp_path):
    """A GPU's ratio says nothing of the CPU's."""
    for measured in [9.0] * 30 + [2.0] * 20:
        remember(tmp_path, "CPU", 2.0, measured)
    remember(tmp_path, "RTX 3090", 10.0, 9.0)

    assert read_certainties(tmp_path)["CPU"].factor == 1.0
    assert read_certainties(tmp_path)["RTX 3090"].factor == 0.9


@pytest.mark.parametrize("text", ["", "{", '{"CPU": "much"}', "[1]"])
def test_a_broken_cache_teaches_nothing(tmp_path, text):
    """And does not stop a run from being remembered."""
    _file(tmp_path).write_text(text)

    assert read_certainties(tmp_path) == {}
    remember(tmp_path, "CPU", 2.0, 2.0)
    assert read_certainties(tmp_path)["CPU"].runs == 1


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    """Nor is a forecast of nothing."""
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file", "CPU", 2.0, 2.0)
    remember(tmp_path, "CPU", 0.0, 2.0)

    assert read_certainties(tmp_path) == {}

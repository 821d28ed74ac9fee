"""How sure a memory forecast is: its band, the probability that it fits, and what earlier runs on this machine have taught.

A run tells its measured peak beside the forecast (`remember`); later forecasts for the same device are corrected by the median ratio,
and their band narrows to what the ratios really spread. Kept in the user's state folder, one small JSON file; a broken file counts as none.
"""

import math
import statistics
from pathlib import Path

import msgspec
from msgspec import Struct

SPREAD = 0.04
"""Relative standard deviation of a forecast on a machine nothing is known of."""
LEAST_SPREAD = 0.015
"""No forecast is surer than this: others' programs come and go."""
RATIOS_KEPT = 20
NORMAL = 1.48
"""Standard deviation of normal numbers, by their median distance; one strange run does not widen the band."""
VERSION = 4
"""Of the forecast's formulas: what runs taught about earlier ones says nothing of these."""
SURE = 0.9
"""A plan fits when its probability is at least this: about 5 % to spare without earlier runs."""
BAND = 1.645
"""Standard deviations to either side that hold nine runs of ten."""


class Certainty(Struct, frozen=True):
    """factor: by what a forecast is multiplied.  spread: relative standard deviation.  runs: how many runs taught it."""

    factor: float = 1.0
    spread: float = SPREAD
    runs: int = 0

    def band(self, peak: float) -> tuple[float, float]:
        """Lowest and highest peak of nine runs in ten, for a corrected `peak`."""
        return peak * (1 - BAND * self.spread), peak * (1 + BAND * self.spread)

    def probability(self, peak: float, available: float) -> float:
        """That a corrected `peak` stays within `available`."""
        if peak <= 0:
            return 1.0
        return 0.5 * (1 + math.erf((available - peak) / (self.spread * peak) / math.sqrt(2)))

    def holds(self, peak: float, available: float) -> bool:
        return self.probability(peak, available) >= SURE


def read_certainties(state: Path) -> dict[str, Certainty]:
    """What earlier runs taught, by device name."""
    return {device: _of(ratios) for device, ratios in _ratios(state).items() if ratios}


def remember(state: Path, device: str, forecast_gib: float, measured_gib: float) -> None:
    """Add one run's outcome. forecast_gib: uncorrected. Never raises: a folder that cannot be written teaches nothing."""
    if not (forecast_gib > 0 and measured_gib > 0):
        return
    known = _ratios(state)
    known[device] = [*known.get(device, []), round(measured_gib / forecast_gib, 4)][-RATIOS_KEPT:]
    try:
        state.mkdir(parents=True, exist_ok=True)
        written = _file(state).with_suffix(".tmp")
        written.write_bytes(msgspec.json.encode(known))
        written.replace(_file(state))
    except OSError:
        return


def _of(ratios: list[float]) -> Certainty:
    """The median is the factor. The spread shrinks from what is assumed of an unknown machine to what was seen, run by run."""
    factor = statistics.median(ratios)
    seen = NORMAL * statistics.median(abs(ratio / factor - 1) for ratio in ratios)
    spread = math.sqrt((2 * SPREAD**2 + len(ratios) * seen**2) / (2 + len(ratios)))
    return Certainty(factor, max(LEAST_SPREAD, spread), len(ratios))


def _ratios(state: Path) -> dict[str, list[float]]:
    try:
        return msgspec.json.decode(_file(state).read_bytes(), type=dict[str, list[float]])
    except (OSError, msgspec.MsgspecError):
        return {}


def _file(state: Path) -> Path:
    return state / f"forecast-{VERSION}.json"

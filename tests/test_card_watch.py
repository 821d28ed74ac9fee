"""GPUs of a run that are held back or lost: told once when it lasts, once when it is over, and what to do."""

from types import SimpleNamespace

import pynvml
import pytest

from engine import nvidia
from engine.card_watch import LASTING, LASTING_ELSE, OVER, CardWatch, lost_gpu_words

GIB = 2**30
HOT, CAPPED = pynvml.nvmlClocksEventReasonHwThermalSlowdown, pynvml.nvmlClocksEventReasonSwPowerCap


class Cards:
    """Two GPUs whose driver the test plays; the run uses the first. Warnings are kept."""

    def __init__(self, monkeypatch):
        self.reasons, self.lost, self.warned = {}, set(), []
        self.watch = CardWatch(lambda code, text: self.warned.append((code, text)))
        self.watch.watch([0])
        answers = {
            "nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": self._handle,
            "nvmlDeviceGetName": lambda handle: "RTX 4090", "nvmlDeviceGetTemperature": lambda handle, kind: 91,
            "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=24 * GIB, free=20 * GIB, used=4 * GIB),
            "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37), "nvmlDeviceGetPowerUsage": lambda handle: 212_000,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: self.reasons.get(handle.index, 0),
        }  # fmt: skip
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, answer)

    def _handle(self, index):
        if index in self.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return SimpleNamespace(index=index)

    def look(self, times=1):
        for _ in range(times):
            self.watch.look(nvidia.read_loads())

    @property
    def codes(self):
        return [code for code, _ in self.warned]


@pytest.fixture
def cards(monkeypatch):
    return Cards(monkeypatch)


def test_heat_is_told_once_and_once_that_it_is_over(cards):
    """However long it lasts; the words name the card, the temperature and the cure."""
    cards.look()
    cards.reasons = {0: HOT}
    cards.look(LASTING_ELSE + 50)

    assert cards.codes == ["gpu_throttled"]
    assert all(words in cards.warned[0][1] for words in ("GPU 0 (RTX 4090)", "heat", "91 °C", "fans"))

    cards.reasons = {}
    cards.look(OVER + 50)

    assert cards.codes == ["gpu_throttled", "gpu_recovered"]


def test_a_card_that_swings_about_its_limit_is_told_once(cards):
    """Moments without it are no end of it."""
    for _ in range(10):
        cards.reasons = {0: HOT}
        cards.look(LASTING_ELSE)
        cards.reasons = {}
        cards.look(OVER - 1)

    assert cards.codes == ["gpu_throttled"]


def test_a_touch_of_the_power_limit_is_nothing(cards):
    """Cards at full load do that all the time; only a lasting one is told."""
    cards.reasons = {0: CAPPED}
    cards.look(LASTING["power limit"] - 1)

    assert cards.warned == []

    cards.look()

    assert cards.codes == ["gpu_throttled"] and "power limit" in cards.warned[0][1]


def test_a_card_of_others_is_nobodys_business(cards):
    """The second GPU is hot, then gone; this run uses the first."""
    cards.reasons = {1: HOT}
    cards.look(50)
    cards.lost = {1}
    cards.look(50)

    assert cards.warned == []


def test_a_lost_card_is_told_with_its_cure(cards):
    """Once; and when it answers again."""
    cards.look()
    cards.lost = {0}
    cards.look(50)

    assert cards.codes == ["gpu_lost"] and "Xid" in cards.warned[0][1] and "resume" in cards.warned[0][1]

    cards.lost = set()
    cards.look()

    assert cards.codes == ["gpu_lost", "gpu_recovered"]


def test_an_error_of_cuda_ends_with_its_cure():
    """What PyTorch says of a lost card, without its hints for developers; other errors are not its business."""
    words = lost_gpu_words(RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ..."))

    assert words is not None and "unspecified launch failure" in words and "resume" in words and "might" not in words
    assert lost_gpu_words(ValueError("no")) is None

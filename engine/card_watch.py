"""GPUs of a run that are held back or fall silent: each told once as a warning when it has lasted, and once when it is over.

Reads nothing itself; it is shown every sample of the machine's load. What holds clocks down is `engine.nvidia`.
"""

from collections.abc import Callable, Collection, Sequence

from engine import events

LASTING = {"power limit": 30}
"""Samples in a row, of one every two seconds, before it is told: cards at full load touch their power limit all the time."""
LASTING_ELSE = 3
OVER = 15
"""Samples in a row without it before it is over, so that a card which swings about its limit is not told each time."""
CURES = {
    "heat": "look at its fans, dust and the room's air",
    "power brake": "look at the power supply and its cables",
    "hardware slowdown": "look at cooling and at the power supply",
    "power limit": "more power (sudo nvidia-smi -pl WATTS) makes it faster, if its owner allows it",
}
SILENT = "silent"


class CardWatch:
    """warn: takes the code and the text of a warning."""

    def __init__(self, warn: Callable[[str, str], None]):
        self._warn = warn
        self._cards: Collection[int] = ()
        self._seen: dict[int, events.Gpu] = {}
        self._lasted: dict[tuple[int, str], int] = {}
        self._told: dict[tuple[int, str], int] = {}
        """What was told and is not over, and for how many samples it has been gone."""

    def watch(self, cards: Collection[int]) -> None:
        """cards: NVML indices of the GPUs this run uses; the others are nobody's business."""
        self._cards = cards

    def look(self, gpus: Sequence[events.Gpu]) -> None:
        """One sample of all GPUs that answered."""
        there = {gpu.index: gpu for gpu in gpus if gpu.index in self._cards}
        silent = [index for index in self._seen if index in self._cards and index not in there]
        self._seen |= there
        now = {(index, why) for index, gpu in there.items() for why in gpu.throttled} | {(index, SILENT) for index in silent}
        self._lasted = {what: self._lasted.get(what, 0) + 1 for what in now}
        for what, samples in self._lasted.items():
            if what in self._told:
                self._told[what] = 0
            elif samples >= LASTING.get(what[1], LASTING_ELSE):
                self._told[what] = 0
                self._tell(*what)
        for what in [what for what in self._told if what not in now]:
            self._told[what] += 1
            if self._told[what] >= (1 if what[1] == SILENT else OVER):
                del self._told[what]
                self._take_back(*what)

    def _tell(self, index: int, why: str) -> None:
        name = _name(index, self._seen[index])
        if why == SILENT:
            self._warn("gpu_lost", f"{name} no longer answers its driver; if the run fails, {GPU_CURE}")
            return
        heat = self._seen[index].temperature_c
        at = f" at {heat:.0f} °C" if heat is not None else ""
        self._warn("gpu_throttled", f"{name} runs slower than it could ({why}{at}); {CURES.get(why, CURES['hardware slowdown'])}")

    def _take_back(self, index: int, why: str) -> None:
        name = _name(index, self._seen[index])
        said = "answers again" if why == SILENT else f"is no longer held back ({why})"
        self._warn("gpu_recovered", f"{name} {said}")


GPU_CURE = "look into dmesg for Xid messages, reset the card (sudo nvidia-smi --gpu-reset) or restart the machine, then resume"


def lost_gpu_words(error: BaseException) -> str | None:
    """What to say of an error by which a GPU took the run with it; None for any other."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"the GPU failed: {first}; {GPU_CURE}: checkpoints hold" if "CUDA error" in first else None


def _name(index: int, gpu: events.Gpu) -> str:
    return f"GPU {index} ({gpu.name})" if gpu.name else f"GPU {index}"

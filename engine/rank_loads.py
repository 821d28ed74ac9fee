"""What each rank of a run does, gathered now and then for the screen; and whether their adapters are still the same."""

from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

from engine import events
from engine.errors import EnvironmentFault
from engine.host import GIB
from engine.rank_reporter import RankReporter
from engine.ranks import Ranks

EVERY_STEPS = 5
DRIFT_ALLOWED = 1e-4
"""Ranks apply the same gradient, so their adapters agree to the last bit; only cards of different kinds may round differently."""
UNKNOWN = -1.0


def rank_loads(ranks: Ranks, reporter: object, parameters: Sequence[Tensor], step: int, step_s: float) -> events.Ranks | None:
    """The event, every few steps of a run of several ranks; else None. Raises EnvironmentFault when the adapters have drifted apart."""
    if ranks.size == 1 or not isinstance(reporter, RankReporter):
        return None
    work_s = max(0.0, step_s - ranks.take_waited_s())
    if step > 2 and step % EVERY_STEPS:
        return None
    norm = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters])).double().sum().item()
    gpu = _own_gpu(ranks, reporter.load)
    numbers = [norm, work_s, psutil.Process().memory_info().rss / GIB, _peak_gib(), *gpu]
    table = ranks.gather(numbers)
    _check_drift([row[0] for row in table], step)
    return events.Ranks(step=step, strategy=ranks.strategy, ranks=[_load(ranks, rank, row) for rank, row in enumerate(table)])


def _own_gpu(ranks: Ranks, load: events.Hardware | None) -> list[float]:
    """VRAM used and total, utilisation, temperature and power of this rank's GPU."""
    number = ranks.gpu_index
    gpu = next((gpu for gpu in load.gpus if gpu.index == number), None) if load else None
    if gpu is None:
        return [UNKNOWN] * 5
    told = (gpu.utilisation, gpu.temperature_c, gpu.power_w)
    return [gpu.vram_used_gib, gpu.vram_total_gib, *(UNKNOWN if value is None else value for value in told)]


def _peak_gib() -> float:
    return torch.cuda.max_memory_allocated() / GIB if torch.cuda.is_available() else UNKNOWN


def _load(ranks: Ranks, rank: int, row: list[float]) -> events.RankLoad:
    _, work_s, rss_gib, peak_gib, used, total, utilisation, temperature, power = row
    gpu = None if total < 0 else events.Gpu(
        vram_used_gib=used, vram_total_gib=total, utilisation=_told(utilisation), temperature_c=_told(temperature), power_w=_told(power)
    )  # fmt: skip
    return events.RankLoad(rank=rank, host=ranks.hosts[rank], work_s=work_s, rss_gib=rss_gib, peak_memory_gib=_told(peak_gib), gpu=gpu)


def _told(value: float) -> float | None:
    return None if value < 0 else value


def _check_drift(norms: list[float], step: int) -> None:
    if max(norms) - min(norms) > DRIFT_ALLOWED * max(norms):
        raise EnvironmentFault(
            f"step {step}: the adapters of the ranks are no longer the same (norms {min(norms):.6g} to {max(norms):.6g}): a device or a "
            "link computes wrongly; resume from the last checkpoint without it"
        )

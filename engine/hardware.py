"""The machine Danlu runs on: what is there (`detect`) and what it is doing now (`LoadSampler`).

Neither raises: what is missing or does not answer is part of the answer. No torch; what a run needs is `engine.plan`.
"""

import os
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from data.user_folders import state_folder
from engine import accelerators, benchmark, events, host, nvidia
from engine.certainty import Certainty, read_certainties
from engine.host import GIB, Cpu, Disk, Memory
from engine.nvidia import Driver, Gpu
from engine.nvidia_links import read_links
from engine.topology import Link


class Machine(Struct, frozen=True, kw_only=True):
    """gemm_gflops: measured fp32 rate of the CPU, None if not measured.  versions: "" for a package that is not installed."""

    gpus: tuple[Gpu, ...]
    driver: Driver
    cpu: Cpu
    memory: Memory
    disk: Disk
    versions: dict[str, str]
    gemm_gflops: float | None = None
    gflops: dict[str, float] = {}
    """Rates of the CPU by precision, from the remembered benchmark."""
    visible: tuple[int, ...] = ()
    """Indices of the GPUs a new process may use, in CUDA's order."""
    links: tuple[Link, ...] = ()
    """How the GPUs reach each other, a link a pair."""
    others: tuple[str, ...] = ()
    """Accelerators that are here but that Danlu does not train on, by name."""
    num_nodes: int = 1
    network_gbs: float = 1.25
    """GB/s between machines, where a run goes over several: 10 Gbit/s unless described otherwise."""
    certainties: dict[str, Certainty] = {}
    """What earlier runs here taught about forecasts, by device name."""
    described: str = ""
    """Name of the description this was read from, "" for the machine itself."""

    @property
    def torch_is_cpu_only(self) -> bool:
        """Whether the installed PyTorch was built without CUDA."""
        return self.versions.get("torch", "").endswith("+cpu")

    @property
    def usable_gpus(self) -> tuple[Gpu, ...]:
        """GPUs a run may take, in CUDA's order; none where PyTorch has no CUDA."""
        healthy = {gpu.index: gpu for gpu in self.gpus if not gpu.problem}
        return () if self.torch_is_cpu_only else tuple(healthy[index] for index in self.visible if index in healthy)

    @property
    def training_gpu(self) -> Gpu | None:
        """The GPU the engine will take; None where it will train on the CPU."""
        return next(iter(self.usable_gpus), None)

    @property
    def available_gib(self) -> float:
        """Memory a new run can take: free VRAM of its GPU, else what the machine or container has left."""
        gpu = self.training_gpu
        return self.memory.available_gib if gpu is None else gpu.vram_free_gib or 0.0


def detect(run_folder: Path = Path("runs"), measure: bool = False) -> Machine:
    """The machine as it is now, in some milliseconds; `measure` adds the CPU's matrix rate (0.4 s)."""
    driver, gpus = nvidia.read_gpus()
    listed, order = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER", "")
    gpus = tuple(as_cuda_sees(gpu, listed) for gpu in gpus)
    return Machine(
        gpus=gpus, driver=driver, links=read_links(tuple(gpu.index for gpu in gpus if not gpu.problem)),
        others=accelerators.read_others(), cpu=host.read_cpu(), memory=host.read_memory(), disk=host.read_disk(run_folder),
        versions=host.read_versions(), gemm_gflops=host.measure_gemm() if measure else None,
        gflops=benchmark.cpu_rates(state_folder()), certainties=read_certainties(state_folder()),
        visible=visible_gpus(gpus, listed, order),
    )  # fmt: skip


def with_rate(machine: Machine, gemm_gflops: float | None) -> Machine:
    """`machine` with a matrix rate measured earlier."""
    return msgspec.structs.replace(machine, gemm_gflops=gemm_gflops)


def visible_gpus(gpus: tuple[Gpu, ...], listed: str | None, order: str) -> tuple[int, ...]:
    """NVML indices in the order CUDA numbers them.

    listed: CUDA_VISIBLE_DEVICES, None if unset.  order: CUDA_DEVICE_ORDER; by default CUDA puts the fastest first, here taken
    as the newest compute capability.  As in CUDA, the list ends at its first unknown entry, and a process that sees a part of a
    card cut by MIG sees nothing else.
    """
    seen = _listed(gpus, listed, order)
    return next(((gpu.index,) for gpu in seen if gpu.mig_devices), tuple(gpu.index for gpu in seen))


def _listed(gpus: tuple[Gpu, ...], listed: str | None, order: str) -> list[Gpu]:
    """The cards, whole or cut, that the list names."""
    ordered = list(gpus) if order == "PCI_BUS_ID" else sorted(gpus, key=lambda gpu: gpu.compute_capability or (0, 0), reverse=True)
    if listed is None:
        return ordered
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in listed.split(",")):
        if entry.isdigit() and int(entry) < len(ordered):
            chosen.append(ordered[int(entry)])
        elif match := [gpu for gpu in ordered if entry.startswith(("GPU-", "MIG-")) and _is_called(gpu, entry)]:
            chosen.append(match[0])
        else:
            break
    return chosen


def _is_called(gpu: Gpu, name: str) -> bool:
    """Whether `name` is the beginning of the card's UUID or of one of its parts'."""
    return any(uuid.startswith(name) for uuid in (gpu.uuid, *(part.uuid for part in gpu.mig_devices)))


def as_cuda_sees(gpu: Gpu, listed: str | None) -> Gpu:
    """A card that is cut by MIG with the memory of the one part that a process gets: the one CUDA_VISIBLE_DEVICES names, else the
    first. Others as they are."""
    if not gpu.mig_devices:
        return gpu
    named = [part for part in gpu.mig_devices if listed and listed.startswith("MIG-") and part.uuid.startswith(listed.partition(",")[0])]
    part = (named or gpu.mig_devices)[0]
    return msgspec.structs.replace(gpu, vram_total_gib=part.vram_total_gib, vram_free_gib=part.vram_free_gib)


class LoadSampler:
    """Reads the load of the machine and of this process; cheap enough for every second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        psutil.cpu_percent()  # the first call only sets the start of the interval

    def sample(self) -> events.Hardware:
        """Load since the last call; GPUs that do not answer are left out."""
        memory = host.read_memory()
        return events.Hardware(
            gpus=nvidia.read_loads(), rss_gib=self._process.memory_info().rss / GIB, cpu_percent=psutil.cpu_percent(),
            memory_available_gib=memory.available_gib, memory_total_gib=memory.total_gib,
        )  # fmt: skip

"""Machines for tests of the plan and the screen: facts as `engine.hardware.detect` would give them."""

from engine.hardware import Machine
from engine.host import Cpu, Disk, Memory
from engine.nvidia import Driver, Gpu


def gpu(free=23.0, total=24.0, index=0, capability=(8, 6), name="NVIDIA GeForce RTX 3090", **facts):
    return Gpu(index=index, name=name, vram_free_gib=free, vram_total_gib=total, compute_capability=capability, **facts)


def machine(*gpus, available=30.0, torch="2.13.0", instructions=("AVX2",), gemm_gflops=None, visible=None):
    """A machine with `gpus`, or without any."""
    return Machine(
        gpus=gpus,
        driver=Driver(version="580.10", cuda="13.0") if gpus else Driver(problem="no NVIDIA driver is installed"),
        cpu=Cpu(name="Test CPU", cores=8, threads=8, instructions=instructions),
        memory=Memory(total_gib=32.0, available_gib=available),
        disk=Disk(folder="runs", total_gib=100.0, free_gib=60.0),
        versions={"python": "3.11", "torch": torch},
        gemm_gflops=gemm_gflops,
        visible=tuple(each.index for each in gpus) if visible is None else visible,
    )

"""NVIDIA GPUs as their driver tells of them through NVML. Never raises for what a machine lacks: it is said in `Driver.problem`.

Reads only; changes no setting, and creates no CUDA context, so watching costs no GPU memory. Not here: which GPU trains.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
from msgspec import Struct

from engine import events, host

GIB = 2**30
MAX_LINKS = 18
"""NVLink ports of the GPU with the most of them (H100)."""
UNCUT = "MIG is on and the card is not cut into devices"
UNCORRECTED = (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
THROTTLES = {
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "heat",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "heat",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power brake",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hardware slowdown",
    pynvml.nvmlClocksEventReasonSwPowerCap: "power limit",
}


class GpuProcess(Struct, frozen=True):
    """A program that holds memory of a GPU. name: "" where the driver may not tell; used_gib: None there."""

    pid: int
    name: str
    used_gib: float | None


class MigDevice(Struct, frozen=True):
    """A part of a card that MIG has cut, which CUDA takes for a card of its own. Memory in GiB."""

    uuid: str
    vram_total_gib: float
    vram_free_gib: float


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU. Memory in GiB, the host's where the GPU has none of its own; compute_capability such as (8, 9); None where the driver
    does not tell.

    problem: why this GPU can't be used now (lost, no permission), empty if it can.
    """

    index: int
    name: str
    uuid: str = ""
    vram_total_gib: float | None = None
    vram_free_gib: float | None = None
    compute_capability: tuple[int, int] | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    nvlinks: int = 0
    mig: bool = False
    mig_devices: tuple[MigDevice, ...] = ()
    ecc: bool | None = None
    ecc_errors: int = 0
    """Uncorrected memory errors since the driver was loaded."""
    power_limit_w: float | None = None
    clock_mhz: int | None = None
    clock_max_mhz: int | None = None
    throttled: tuple[str, ...] = ()
    """Why its clocks are held down now: heat, power, hardware. Idling and limits a person set don't count."""
    numa_node: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    problem: str = ""

    @property
    def has_bf16(self) -> bool:
        """bf16 matrix units came with compute capability 8.0 (Ampere)."""
        return self.compute_capability is not None and self.compute_capability >= (8, 0)

    @property
    def has_fp8(self) -> bool:
        """fp8 matrix units came with compute capability 8.9 (Ada)."""
        return self.compute_capability is not None and self.compute_capability >= (8, 9)


class Driver(Struct, frozen=True, kw_only=True):
    """version, cuda: of the installed driver, empty without one.  problem: why it gives no GPUs, empty if it does."""

    version: str = ""
    cuda: str = ""
    problem: str = ""


def read_gpus() -> tuple[Driver, tuple[Gpu, ...]]:
    """The driver and every GPU it shows to this process, in PCI order."""
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError) as error:
        return Driver(problem=explain(error)), ()
    try:
        count = ask(pynvml.nvmlDeviceGetCount) or 0
        driver = Driver(
            version=_text(ask(pynvml.nvmlSystemGetDriverVersion)),
            cuda=_cuda_version(ask(pynvml.nvmlSystemGetCudaDriverVersion_v2)),
            problem="" if count else "the driver shows no GPU to this process",
        )
        return driver, tuple(_read_gpu(index) for index in range(count))
    finally:
        ask(pynvml.nvmlShutdown)


def read_loads() -> list[events.Gpu]:
    """What every GPU is doing now; empty without a driver. A GPU that does not answer is left out."""
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError):
        return []
    try:
        loads = [_read_load(index) for index in range(ask(pynvml.nvmlDeviceGetCount) or 0)]
        return [load for load in loads if load is not None]
    finally:
        ask(pynvml.nvmlShutdown)


def explain(error: Exception) -> str:
    """One sentence a person can act on."""
    value = getattr(error, "value", None)
    sentences = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver is installed",
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded",
        pynvml.NVML_ERROR_NO_PERMISSION: "this user may not talk to the NVIDIA driver",
        pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU has fallen off the bus",
        pynvml.NVML_ERROR_RESET_REQUIRED: "the GPU needs a reset",
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated and the machine not restarted since",
    }
    return sentences.get(value, f"the NVIDIA driver does not answer ({str(error).strip() or type(error).__name__})")


def _read_gpu(index: int) -> Gpu:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        total_gib, free_gib = _memory(handle)
    except pynvml.NVMLError as error:
        return Gpu(index=index, name=f"GPU {index}", problem=explain(error))
    mig, ecc = ask(pynvml.nvmlDeviceGetMigMode, handle), ask(pynvml.nvmlDeviceGetEccMode, handle)
    parts = _mig_devices(handle) if mig and mig[0] else ()
    links = [ask(pynvml.nvmlDeviceGetNvLinkState, handle, link) for link in range(MAX_LINKS)]
    return Gpu(
        index=index,
        name=_text(ask(pynvml.nvmlDeviceGetName, handle)) or f"GPU {index}",
        uuid=_text(ask(pynvml.nvmlDeviceGetUUID, handle)),
        vram_total_gib=total_gib,
        vram_free_gib=free_gib,
        compute_capability=_pair(ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle)),
        pcie_generation=ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle),
        pcie_width=ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle),
        nvlinks=links.count(pynvml.NVML_FEATURE_ENABLED),
        mig=bool(mig and mig[0]),
        mig_devices=parts,
        problem=UNCUT if mig and mig[0] and not parts else "",
        ecc=None if ecc is None else bool(ecc[0]),
        ecc_errors=ask(pynvml.nvmlDeviceGetTotalEccErrors, handle, *UNCORRECTED) or 0,
        power_limit_w=_watts(ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        clock_mhz=ask(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
        clock_max_mhz=ask(pynvml.nvmlDeviceGetMaxClockInfo, handle, pynvml.NVML_CLOCK_SM),
        throttled=_throttled(handle),
        numa_node=ask(pynvml.nvmlDeviceGetNumaNodeId, handle),
        processes=_processes(handle),
    )


def _memory(handle: Any) -> tuple[float, float]:
    """Total and free GiB; the host's of a GPU that shares it (GB10, Jetson), of which the driver tells none. Raises NVMLError."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError as error:
        if error.value != pynvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        shared = host.read_memory()
        return shared.total_gib, shared.available_gib
    return memory.total / GIB, memory.free / GIB


def _mig_devices(card: Any) -> tuple[MigDevice, ...]:
    """The parts a card is cut into, in the order CUDA numbers them."""
    most = ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0
    handles = [ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, card, index) for index in range(most)]
    return tuple(MigDevice(_text(ask(pynvml.nvmlDeviceGetUUID, part)), *_memory(part)) for part in handles if part is not None)


def _throttled(handle: Any) -> tuple[str, ...]:
    held = ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle) or 0
    return tuple(dict.fromkeys(name for reason, name in THROTTLES.items() if held & reason))


def _processes(handle: Any) -> tuple[GpuProcess, ...]:
    """Programs on the card, the largest first."""
    found = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    told = [GpuProcess(each.pid, _program(each.pid), each.usedGpuMemory and each.usedGpuMemory / GIB) for each in found]
    return tuple(sorted(told, key=lambda each: each.used_gib or 0.0, reverse=True))


def _program(pid: int) -> str:
    """Name of a program's file; "" for another user's or another container's."""
    return Path(_text(ask(pynvml.nvmlSystemGetProcessName, pid))).name


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def _read_load(index: int) -> events.Gpu | None:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        total_gib, free_gib = _memory(handle)
    except pynvml.NVMLError:
        return None
    rates = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    power = ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    return events.Gpu(
        index=index, name=_text(ask(pynvml.nvmlDeviceGetName, handle)), throttled=_throttled(handle),
        vram_used_gib=total_gib - free_gib, vram_total_gib=total_gib,
        utilisation=None if rates is None else float(rates.gpu), power_w=_watts(power),
        temperature_c=_float(ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)),
    )  # fmt: skip


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """The driver's answer, None where this GPU or driver has none."""
    try:
        return function(*arguments)
    except (pynvml.NVMLError, OSError):
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _cuda_version(number: int | None) -> str:
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""

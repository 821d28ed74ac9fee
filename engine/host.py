"""The machine around the GPU: CPU, memory with container limits, disk, versions. Never raises for what is not there."""

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil
from msgspec import Struct

GIB = 2**30
CGROUPS = Path("/sys/fs/cgroup")
NODES = Path("/sys/devices/system/node")
INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "amx_tile": "AMX", "amx_bf16": "AMX BF16",
                "asimd": "NEON", "sve": "SVE", "bf16": "BF16"}  # fmt: skip
"""Flags of /proc/cpuinfo that matter to matrix products, by the name people know; `bf16` is Arm's."""
PACKAGES = ("danlu", "torch", "transformers", "peft", "tokenizers", "safetensors", "bitsandbytes", "textual", "numpy")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""For the libraries that multiply matrices."""
UNLIMITED = 2**60
"""cgroup v1 writes "no limit" as a number near 2^63."""


class Cpu(Struct, frozen=True, kw_only=True):
    """cores: physical.  threads: what this process may use, container quota included.  instructions: as in INSTRUCTIONS."""

    name: str
    cores: int
    threads: float
    instructions: tuple[str, ...] = ()
    numa_nodes: tuple["NumaNode", ...] = ()

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies matrices in bf16 itself; others emulate it, up to 400 times slower."""
        return any(name.endswith("BF16") for name in self.instructions)


class NumaNode(Struct, frozen=True):
    """One socket or part of it with memory of its own.  cpus: as the kernel writes them, such as "0-15,32-47"."""

    index: int
    cpus: str
    memory_gib: float


class Memory(Struct, frozen=True, kw_only=True):
    """In GiB. available: what a new process can take, container limit included.  limit_gib: the container's, None without one."""

    total_gib: float
    available_gib: float
    limit_gib: float | None = None


class Disk(Struct, frozen=True, kw_only=True):
    """The file system under `folder`, in GiB."""

    folder: str
    total_gib: float
    free_gib: float


@functools.cache
def read_cpu() -> Cpu:
    """Facts of the CPU, which do not change while a process lives."""
    facts = _cpuinfo(Path("/proc/cpuinfo"))
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(CGROUPS, Path("/proc/self/cgroup"))
    return Cpu(
        name=facts.get("model name") or platform.processor() or platform.machine() or "CPU",
        cores=psutil.cpu_count(logical=False) or usable,
        threads=usable if quota is None else min(usable, quota),
        instructions=tuple(name for flag, name in INSTRUCTIONS.items() if flag in flags),
        numa_nodes=read_numa(NODES),
    )


def read_numa(nodes: Path) -> tuple[NumaNode, ...]:
    """The machine's NUMA nodes by number; none where the kernel shows none."""
    found = []
    for folder in nodes.glob("node[0-9]*"):
        total = next((line.split() for line in read_text(folder / "meminfo").splitlines() if "MemTotal" in line), [])
        size = int(total[3]) / 2**20 if len(total) > 3 and total[3].isdigit() else 0.0
        found.append(NumaNode(int(folder.name.removeprefix("node")), read_text(folder / "cpulist"), size))
    return tuple(sorted(found, key=lambda node: node.index))


def measure_gemm() -> float:
    """GFLOP/s of the CPU in fp32 matrix products, in 0.4 s: what one thread reaches, times the cores this process may use. A first idea of
    the training speed. Products on all threads take several times as long while others work (docs/log.md)."""
    asked = subprocess.run(
        [sys.executable, "-m", "engine.one_thread"], env=os.environ | ONE_THREAD, cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    cpu = read_cpu()
    return float(asked.stdout) * min(cpu.cores, cpu.threads)


def read_memory(cgroups: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> Memory:
    """Memory of the machine or, where one is set, of the container this process lives in."""
    machine = psutil.virtual_memory()
    total, available, tightest = machine.total, machine.available, None
    for folder in cgroup_folders(cgroups, membership, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit is None or limit >= UNLIMITED or limit >= machine.total:
            continue
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
        tightest = min(limit, tightest or limit)
        total, available = min(total, limit), min(available, max(0, limit - used + _reclaimable(folder)))
    return Memory(total_gib=total / GIB, available_gib=available / GIB, limit_gib=tightest and tightest / GIB)


def cpu_quota(cgroups: Path, membership: Path) -> float | None:
    """CPUs a container may use, such as 1.5; None without a limit."""
    quotas = []
    for folder in cgroup_folders(cgroups, membership, "cpu"):
        words = read_text(folder / "cpu.max").split() or [read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us")]
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def nearest_folder(folder: Path) -> Path:
    """`folder`, else the first folder above it that is there: where it would be made."""
    return next((place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir()), Path("/"))


def read_disk(folder: Path) -> Disk:
    """Space where `folder` is or would be made; zeros where that can't be told."""
    place = nearest_folder(folder)
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return Disk(folder=str(folder), total_gib=0.0, free_gib=0.0)
    return Disk(folder=str(folder), total_gib=usage.total / GIB, free_gib=usage.free / GIB)


@functools.cache
def read_versions() -> dict[str, str]:
    """Python and the packages that do the work, from their metadata; "" for one that is not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cpuinfo(path: Path) -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo."""
    pairs = (line.partition(":") for line in read_text(path).partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cgroup_folders(root: Path, membership: Path, controller: str) -> list[Path]:
    """Folders whose limits apply to this process, innermost first: cgroup v2, v1, and a container's view of either."""
    folders: list[Path] = []
    for line in read_text(membership).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        inside = Path(path.lstrip("/"))
        folders += [base / part for part in (inside, *inside.parents)]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _reclaimable(folder: Path) -> int:
    """File cache the kernel gives back under pressure."""
    for line in read_text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"} and value.isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = read_text(path)
    return int(text) if text.isdigit() else None


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

"""A machine described in a TOML file, for plans on hardware one does not sit at: `danlu plan CONFIG --hardware FILE`.

Only the name and number of GPUs must be said; the rest comes from their data sheet. The keys are explained in
docs/machines.md, examples are in configs/machines. Reads one file; looks at no real hardware.
"""

from itertools import combinations, count
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli
from msgspec import Meta, Struct

from engine.errors import ConfigError
from engine.gpu_facts import KNOWN, facts_of
from engine.hardware import Machine
from engine.host import Cpu, Disk, Memory
from engine.nvidia import Driver, Gpu
from engine.topology import Link

EXAMPLES = Path(__file__).resolve().parent.parent / "configs" / "machines"
DESKTOP_GIB = 0.4
"""VRAM a described GPU is taken to have lost to its driver's own bookkeeping."""

Positive = Annotated[float, Meta(gt=0)]


class _Gpus(Struct, forbid_unknown_fields=True, kw_only=True):
    """`count` equal cards."""

    name: Annotated[str, Meta(min_length=1)]
    count: Annotated[int, Meta(ge=1, le=64)] = 1
    vram_gib: Positive | None = None
    vram_free_gib: Positive | None = None
    compute_capability: Annotated[str, Meta(pattern=r"^\d+\.\d+$")] | None = None
    pcie_generation: Annotated[int, Meta(ge=1, le=6)] = 4
    pcie_width: Annotated[int, Meta(ge=1, le=16)] = 16


class _Description(Struct, forbid_unknown_fields=True, kw_only=True):
    """link: between GPUs of one machine.  p2p: whether they read each other's memory over PCIe."""

    gpu: list[_Gpus] = []
    link: Literal["pcie", "nvlink"] = "pcie"
    p2p: bool = False
    nodes: Annotated[int, Meta(ge=1, le=1024)] = 1
    network_gbit: Positive = 10.0
    memory_gib: Positive = 64.0
    memory_free_gib: Positive | None = None
    cpu: str = "CPU"
    cores: Annotated[int, Meta(ge=1)] = 8
    cpu_bf16: bool = False
    gemm_gflops: Positive | None = None
    disk_free_gib: Positive = 100.0


def find_machine(name: str) -> Path:
    """`name` as a path, else as an example's name. Raises ConfigError naming the examples."""
    path = Path(name)
    if path.is_file():
        return path
    example = EXAMPLES / f"{name}.toml"
    if example.is_file():
        return example
    known = ", ".join(sorted(found.stem for found in EXAMPLES.glob("*.toml")))
    raise ConfigError(f"{name}: no such machine description; give a path or one of the examples: {known}")


def read_machine(path: Path) -> Machine:
    """The machine `path` describes. Raises ConfigError with file, key, value and cure."""
    try:
        raw = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    try:
        described = msgspec.convert(raw, _Description)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}; the keys are explained in docs/machines.md") from error
    return _machine(described, path)


def _machine(described: _Description, path: Path) -> Machine:
    numbers = count()
    gpus = tuple(_gpu(group, next(numbers), described.link, path) for group in described.gpu for _ in range(group.count))
    return Machine(
        gpus=gpus,
        driver=Driver(version="described", cuda="") if gpus else Driver(problem="no NVIDIA driver is installed"),
        cpu=Cpu(name=described.cpu, cores=described.cores, threads=described.cores,
                instructions=("AVX-512 BF16",) if described.cpu_bf16 else ("AVX2",)),
        memory=Memory(total_gib=described.memory_gib, available_gib=described.memory_free_gib or 0.9 * described.memory_gib),
        disk=Disk(folder=str(path), total_gib=described.disk_free_gib, free_gib=described.disk_free_gib),
        versions={}, gemm_gflops=described.gemm_gflops, visible=tuple(gpu.index for gpu in gpus),
        links=_links(gpus, described), num_nodes=described.nodes, network_gbs=described.network_gbit / 8, described=path.stem,
    )  # fmt: skip


def _gpu(group: _Gpus, index: int, link: str, path: Path) -> Gpu:
    facts = facts_of(group.name)
    if facts is None and (group.vram_gib is None or group.compute_capability is None):
        raise ConfigError(f"{path}: gpu.name = {group.name!r} is not a card Danlu knows ({', '.join(KNOWN)}); "
                          "add vram_gib and compute_capability")  # fmt: skip
    total = group.vram_gib or facts.vram_gib
    capability = tuple(map(int, group.compute_capability.split("."))) if group.compute_capability else facts.capability
    return Gpu(
        index=index, name=group.name, vram_total_gib=total, vram_free_gib=group.vram_free_gib or total - DESKTOP_GIB,
        compute_capability=capability, pcie_generation=group.pcie_generation, pcie_width=group.pcie_width,
        nvlinks=_nvlinks(group.name) if link == "nvlink" else 0,
    )  # fmt: skip


def _nvlinks(name: str) -> int:
    """Links of the card; a card whose sheet names none is taken to have a bridge of four (RTX 3090, A6000)."""
    facts = facts_of(name)
    return facts.nvlinks if facts and facts.nvlinks else 4


def _links(gpus: tuple[Gpu, ...], described: _Description) -> tuple[Link, ...]:
    """Every pair alike: all over NVLink, or all through the CPU."""
    joined = described.link == "nvlink"
    return tuple(
        Link(first=one.index, second=other.index, kind="nvlink" if joined else "cpu",
             nvlinks=min(one.nvlinks, other.nvlinks), p2p=joined or described.p2p)
        for one, other in combinations(gpus, 2)
    )  # fmt: skip

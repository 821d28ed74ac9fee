"""How the GPUs of a machine reach each other, and how fast data goes from one to all others.

Estimates bandwidth from the kind of link; measures nothing. Which strategy follows from it is `engine.strategy`.
"""

from msgspec import Struct

PCIE_GBS = {1: 0.25, 2: 0.5, 3: 0.985, 4: 1.97, 5: 3.94, 6: 7.56}
"""GB/s of one lane in one direction by PCIe generation."""
REACHED = 0.8
"""Share of a link's rate that collectives reach."""
THROUGH_HOST = 0.4
"""Share reached where GPUs cannot read each other's memory and every byte is staged in host memory (GeForce since the 3090)."""
ACROSS_SOCKETS = 0.7
"""Share left when the way crosses from one CPU to the other."""
DEFAULT_NVLINK_GBS = 25.0
FAST_GBS = 40.0
"""From here on links carry sharded weights without slowing a step much: NVLink does, PCIe 4 does not."""
KINDS = ("nvlink", "board", "switch", "bridge", "cpu", "sockets", "unknown")
"""Nearest first: NVLink; the same board; one PCIe switch; several switches under one bridge; through the CPU; over two CPUs."""


class Link(Struct, frozen=True, kw_only=True):
    """How two GPUs, by NVML index, are joined. kind: one of KINDS.  p2p: whether they read each other's memory, None if not told."""

    first: int
    second: int
    kind: str
    nvlinks: int = 0
    p2p: bool | None = None

    def joins(self, one: int, other: int) -> bool:
        return {self.first, self.second} == {one, other}


def link_between(links: tuple[Link, ...], one: int, other: int) -> Link | None:
    """The link of a pair, in either order; None where the driver tells of none."""
    return next((link for link in links if link.joins(one, other)), None)


def link_gbs(link: Link | None, pcie_generation: int | None, pcie_width: int | None, nvlink_gbs: float = 0.0) -> float:
    """GB/s in one direction that a collective reaches over `link`; unknown PCIe counts as the third generation on 16 lanes."""
    if link is not None and link.nvlinks:
        return REACHED * link.nvlinks * (nvlink_gbs or DEFAULT_NVLINK_GBS)
    lanes = PCIE_GBS.get(pcie_generation or 3, PCIE_GBS[3]) * (pcie_width or 16)
    reached = REACHED if link is not None and link.p2p else THROUGH_HOST
    return lanes * reached * (ACROSS_SOCKETS if link is not None and link.kind == "sockets" else 1.0)

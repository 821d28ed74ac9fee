"""How the NVIDIA GPUs of this machine are joined, as NVML tells it: NVLink by pair, else the nearest point of the PCIe tree.

Never raises: what the driver does not tell is "unknown". What a link is good for is `engine.topology`.
"""

from itertools import combinations
from typing import Any

import pynvml

from engine.nvidia import MAX_LINKS, ask
from engine.topology import Link

ANCESTORS = {
    pynvml.NVML_TOPOLOGY_INTERNAL: "board",
    pynvml.NVML_TOPOLOGY_SINGLE: "switch",
    pynvml.NVML_TOPOLOGY_MULTIPLE: "bridge",
    pynvml.NVML_TOPOLOGY_HOSTBRIDGE: "cpu",
    pynvml.NVML_TOPOLOGY_NODE: "cpu",
    pynvml.NVML_TOPOLOGY_SYSTEM: "sockets",
}
P2P_READ = 0
"""NVML_P2P_CAPS_INDEX_READ, which pynvml 13 defines as the tuple (0,) by mistake."""
SWITCH = 2
"""NVML_NVLINK_DEVICE_TYPE_SWITCH: the other end is an NVSwitch, which reaches every GPU behind it."""


def read_links(indices: tuple[int, ...]) -> tuple[Link, ...]:
    """A link for every pair of GPUs, by NVML index; none where there are fewer than two."""
    if len(indices) < 2:
        return ()
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError):
        return ()
    try:
        return _read(indices)
    finally:
        ask(pynvml.nvmlShutdown)


def _read(indices: tuple[int, ...]) -> tuple[Link, ...]:
    handles = {index: ask(pynvml.nvmlDeviceGetHandleByIndex, index) for index in indices}
    present = {index: handle for index, handle in handles.items() if handle is not None}
    ends = {index: _ends(handle) for index, handle in present.items()}
    buses = {index: _bus(ask(pynvml.nvmlDeviceGetPciInfo, handle)) for index, handle in present.items()}
    return tuple(
        _link(one, other, present[one], present[other], _shared(ends[one], ends[other], buses[other]))
        for one, other in combinations(present, 2)
    )


def _link(one: int, other: int, first: Any, second: Any, nvlinks: int) -> Link:
    p2p = ask(pynvml.nvmlDeviceGetP2PStatus, first, second, P2P_READ)
    kind = "nvlink" if nvlinks else ANCESTORS.get(ask(pynvml.nvmlDeviceGetTopologyCommonAncestor, first, second), "unknown")
    return Link(first=one, second=other, kind=kind, nvlinks=nvlinks, p2p=None if p2p is None else p2p == pynvml.NVML_P2P_STATUS_OK)


def _ends(handle: Any) -> list[tuple[str, bool]]:
    """Where each active NVLink of a GPU leads: bus address, and whether that is a switch."""
    active = [link for link in range(MAX_LINKS) if ask(pynvml.nvmlDeviceGetNvLinkState, handle, link) == pynvml.NVML_FEATURE_ENABLED]
    return [
        (_bus(ask(pynvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link)),
         ask(pynvml.nvmlDeviceGetNvLinkRemoteDeviceType, handle, link) == SWITCH)
        for link in active
    ]  # fmt: skip


def _shared(mine: list[tuple[str, bool]], theirs: list[tuple[str, bool]], their_bus: str) -> int:
    """Links between two GPUs: direct ones, or all that both have into switches."""
    direct = sum(bus == their_bus and bool(bus) for bus, _ in mine)
    return direct or min(sum(switch for _, switch in mine), sum(switch for _, switch in theirs))


def _bus(info: Any) -> str:
    address = getattr(info, "busId", b"") or b""
    return (address.decode("ascii", "replace") if isinstance(address, bytes) else str(address)).lower()

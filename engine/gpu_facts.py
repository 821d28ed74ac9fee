"""What vendors' data sheets say of GPUs: arithmetic rates, memory, capability. Looked up by a part of the name.

Gives None for a card it does not know; measures nothing (`engine.benchmark`).
"""

from msgspec import Struct


class GpuFacts(Struct, frozen=True):
    """tensor_tflops: dense 16-bit products with fp32 accumulation.  fp32_tflops: without tensor units.  vram_gib: as the driver
    reports it.  bandwidth_gbs: memory.  nvlinks, nvlink_gbs: links of the card where it has a bridge or switch, and GB/s of each
    in one direction."""

    tensor_tflops: float
    fp32_tflops: float
    vram_gib: float
    bandwidth_gbs: float
    capability: tuple[int, int]
    nvlinks: int = 0
    nvlink_gbs: float = 0.0


KNOWN: dict[str, GpuFacts] = {
    "B200": GpuFacts(2250, 75, 179.1, 8000, (10, 0), 18, 50.0),
    "H200": GpuFacts(989, 67, 140.4, 4800, (9, 0), 18, 25.0),
    "H100 PCIe": GpuFacts(756, 51, 79.6, 2000, (9, 0)),
    "H100": GpuFacts(989, 67, 79.6, 3350, (9, 0), 18, 25.0),
    "H800": GpuFacts(989, 67, 79.6, 3350, (9, 0), 8, 25.0),
    "H20": GpuFacts(148, 44, 95.6, 4000, (9, 0), 18, 25.0),
    "A100-PCIE-40GB": GpuFacts(312, 19.5, 39.4, 1555, (8, 0)),
    "A100 80GB PCIe": GpuFacts(312, 19.5, 79.2, 1935, (8, 0)),
    "A100-SXM4-40GB": GpuFacts(312, 19.5, 39.4, 1555, (8, 0), 12, 25.0),
    "A100": GpuFacts(312, 19.5, 79.2, 2039, (8, 0), 12, 25.0),
    "A800": GpuFacts(312, 19.5, 79.2, 2039, (8, 0), 8, 25.0),
    "A30": GpuFacts(165, 10.3, 23.6, 933, (8, 0)),
    "A40": GpuFacts(150, 37.4, 44.4, 696, (8, 6)),
    "A10G": GpuFacts(70, 31.2, 22.1, 600, (8, 6)),
    "A10": GpuFacts(125, 31.2, 22.1, 600, (8, 6)),
    "A6000": GpuFacts(155, 38.7, 47.5, 768, (8, 6)),
    "L40S": GpuFacts(362, 91.6, 44.4, 864, (8, 9)),
    "L40": GpuFacts(181, 90.5, 44.4, 864, (8, 9)),
    "L20": GpuFacts(119, 59.8, 44.4, 864, (8, 9)),
    "L4": GpuFacts(121, 30.3, 22.2, 300, (8, 9)),
    "RTX 6000 Ada": GpuFacts(364, 91.1, 47.5, 960, (8, 9)),
    "RTX 5090": GpuFacts(209, 104.8, 31.8, 1792, (12, 0)),
    "RTX 5080": GpuFacts(113, 56.3, 15.9, 960, (12, 0)),
    "RTX 4090": GpuFacts(165, 82.6, 24.0, 1008, (8, 9)),
    "RTX 4080": GpuFacts(98, 48.7, 16.0, 717, (8, 9)),
    "RTX 4070": GpuFacts(59, 29.1, 12.0, 504, (8, 9)),
    "RTX 4060": GpuFacts(30, 15.1, 8.0, 272, (8, 9)),
    "RTX 3090": GpuFacts(71, 35.6, 24.0, 936, (8, 6)),
    "RTX 3080": GpuFacts(60, 29.8, 10.0, 760, (8, 6)),
    "RTX 3060": GpuFacts(26, 12.7, 12.0, 360, (8, 6)),
    "V100": GpuFacts(112, 15.7, 31.7, 900, (7, 0), 6, 25.0),
    "T4": GpuFacts(65, 8.1, 14.9, 320, (7, 5)),
    "RTX 2080 Ti": GpuFacts(54, 13.4, 11.0, 616, (7, 5)),
}
"""A longer name stands before the shorter one it contains. 24 GB cards with ECC on show less than their label says (A10G: 22.1 GiB)."""


def facts_of(name: str) -> GpuFacts | None:
    """The data sheet of the card that `name`, as the driver tells it, belongs to."""
    return next((facts for known, facts in KNOWN.items() if known.lower() in name.lower()), None)


def tflops(name: str, precision: str) -> float | None:
    """Peak rate of matrix products in `precision` (fp32 without tf32, as PyTorch computes by default)."""
    facts = facts_of(name)
    if facts is None:
        return None
    return facts.fp32_tflops if precision == "fp32" else facts.tensor_tflops

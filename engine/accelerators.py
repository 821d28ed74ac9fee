"""Accelerators that are here but that Danlu does not train on: AMD and Intel cards, Apple's GPU, named honestly.

Looks at what the kernel shows, loads no driver; never raises.
"""

import functools
import platform
from pathlib import Path

CARDS = Path("/sys/class/drm")
VENDORS = {"0x1002": "AMD", "0x8086": "Intel"}
DISPLAY_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")
"""PCI classes of VGA, 3D and other display controllers, and of processing accelerators."""
MOST_IGNORED_BYTES = 2 << 30
"""A card with less memory of its own is a graphics unit of the processor."""


@functools.cache
def read_others(cards: Path = CARDS, system: str = platform.system(), processor: str = platform.machine()) -> tuple[str, ...]:
    """Names of such accelerators, as "AMD Radeon … (24 GiB)"."""
    if system == "Darwin" and processor == "arm64":
        return ("Apple GPU (Metal)",)
    found = [_card(place / "device") for place in sorted(cards.glob("card*")) if (place / "device" / "vendor").is_file()]
    return tuple(name for name in found if name)


def _card(device: Path) -> str:
    vendor = VENDORS.get(_read(device / "vendor"))
    size = _read(device / "mem_info_vram_total")
    if vendor is None or not _read(device / "class").startswith(DISPLAY_CLASSES):
        return ""
    if not size.isdigit() or int(size) < MOST_IGNORED_BYTES:
        return ""
    name = _read(device / "product_name") or f"GPU {_read(device / 'device')}"
    return f"{vendor} {name} ({int(size) / 2**30:.0f} GiB)"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

"""Numbers as people read them: durations, sizes, counts, losses. Words come from the catalogue; nothing here has a style."""

import math
import time

from tui.texts import tr

UNKNOWN = "–"


def duration(seconds: float) -> str:
    """The two largest units: "45 s", "12 min 05 s", "3 h 20 min", "2 d 4 h"."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return tr("common.time.seconds", s=whole)
    if whole < 3600:
        return tr("common.time.minutes", m=whole // 60, s=whole % 60)
    if whole < 86400:
        return tr("common.time.hours", h=whole // 3600, m=whole % 3600 // 60)
    return tr("common.time.days", d=whole // 86400, h=whole % 86400 // 3600)


def age(seconds: float) -> str:
    """How long ago, in its largest unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return tr(f"common.ago.{unit}", n=int(seconds // size))
    return tr("common.ago.now")


def clock(moment: float) -> str:
    """Unix time as the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(moment))


def size(num_bytes: float) -> str:
    """Bytes in a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 1024 or unit == "GiB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" or num_bytes >= 100 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    raise AssertionError


def count(value: int) -> str:
    """1,234 below a million, then 33.0M or 4.02B."""
    if value < 1_000_000:
        return f"{value:,}"
    return f"{value / 1e6:.1f}M" if value < 1e9 else f"{value / 1e9:.2f}B"


def loss(value: float | None) -> str:
    """Three decimals; a dash where there is none."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.3f}"


def share(value: float | None) -> str:
    """Per cent with one decimal; a dash where there is none."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def rate(value: float) -> str:
    """A learning rate or a norm: three significant digits."""
    return f"{value:.3g}" if math.isfinite(value) else UNKNOWN

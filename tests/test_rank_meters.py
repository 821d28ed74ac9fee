"""The load line of a run of several processes."""

import pytest

from engine import events
from tui.gate import cells
from tui.glyphs import UNICODE
from tui.widgets.rank_meters import rank_parts


def load(work_s: list[float], gpu: bool) -> events.Ranks:
    card = events.Gpu(vram_used_gib=30.5, vram_total_gib=80.0, utilisation=97.0) if gpu else None
    ranks = [events.RankLoad(rank=rank, host="one", work_s=seconds, rss_gib=2.5, gpu=card) for rank, seconds in enumerate(work_s)]
    return events.Ranks(step=5, strategy="ddp", ranks=ranks)


def told(work_s: list[float], gpu: bool, width: int) -> str:
    return " | ".join("".join(text for text, _ in part) for part in rank_parts(load(work_s, gpu), UNICODE, width))


def test_few_ranks_are_shown_one_by_one():
    """Own work, memory, utilisation; the slow one is marked by a sign, not only by colour."""
    assert told([0.5, 0.9], True, 120) == f"2 processes (DDP) | #0 0.50 s 30.5/80 GiB 97% | #1 0.90 s {UNICODE.warning} 30.5/80 GiB 97%"
    assert told([0.5, 0.51], False, 80) == "2 processes (DDP) | #0 0.50 s 2.5 GiB | #1 0.51 s 2.5 GiB"


@pytest.mark.parametrize("width", [80, 120])
def test_many_ranks_are_one_part_that_names_the_slowest(width):
    """Eight or 64, the line stays one line."""
    text = told([0.5] * 63 + [0.9], True, width)

    assert "0.50-0.90 s" in text and "slowest #63" in text and "1952 GiB" in text and "97-97%" in text
    assert cells(text) < width

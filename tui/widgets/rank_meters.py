"""The ranks of a run of several processes as parts of the load line: each by itself where they fit, else all in one."""

from engine import events
from tui.gate import cells
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.steady import Line

SLOW = 1.15
"""A rank that needs so many times the fastest one's time is marked: the others wait for it every step."""


def rank_parts(load: events.Ranks, glyphs: Glyphs, width: int) -> list[Line]:
    """Strategy and size, then each rank's own work a step, memory and utilisation; one part for all where that is too wide."""
    head: Line = [(tr("train.status.ranks", n=len(load.ranks), strategy=tr(f"train.strategy.{load.strategy}")), "text")]
    fastest = min(rank.work_s for rank in load.ranks)
    each = [_rank(rank, rank.work_s > SLOW * fastest > 0, glyphs) for rank in load.ranks]
    if sum(cells(text) for part in each for text, _ in part) + 3 * len(each) > width * 2 / 3:
        each = [_all(load, glyphs)]
    return [head, *each]


def _rank(rank: events.RankLoad, is_slow: bool, glyphs: Glyphs) -> Line:
    line: Line = [(f"#{rank.rank} ", "dim"), (f"{rank.work_s:.2f} s", "warn" if is_slow else "bright")]
    if is_slow:
        line.append((f" {glyphs.warning}", "warn"))
    if rank.gpu is None:
        return [*line, (f" {rank.rss_gib:.1f} GiB", "dim")]
    line.append((f" {rank.gpu.vram_used_gib:.1f}/{rank.gpu.vram_total_gib:.0f} GiB", "dim"))
    return line if rank.gpu.utilisation is None else [*line, (f" {rank.gpu.utilisation:.0f}%", "text")]


def _all(load: events.Ranks, glyphs: Glyphs) -> Line:
    slowest = max(load.ranks, key=lambda rank: rank.work_s)
    fastest = min(rank.work_s for rank in load.ranks)
    gpus = [rank.gpu for rank in load.ranks if rank.gpu is not None]
    used = sum(gpu.vram_used_gib for gpu in gpus) or sum(rank.rss_gib for rank in load.ranks)
    line: Line = [(f"{fastest:.2f}-{slowest.work_s:.2f} s", "bright")]
    if slowest.work_s > SLOW * fastest:
        line.append((f" {glyphs.warning} {tr('train.status.slowest', rank=slowest.rank)}", "warn"))
    line.append((f" {used:.0f} GiB", "dim"))
    busy = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    return [*line, (f" {min(busy):.0f}-{max(busy):.0f}%", "text")] if busy else line

"""How the GPUs are joined, drawn as a matrix: a row and a column a GPU, the kind of link where they meet. Pure functions."""

from engine.hardware import Machine
from engine.nvidia import Gpu
from engine.topology import Link, link_between
from tui.gate import cells, pad
from tui.glyphs import Glyphs
from tui.texts import tr
from tui.widgets.lines import Line

SHORT = {"nvlink": "NV", "board": "BRD", "switch": "PIX", "bridge": "PXB", "cpu": "PHB", "sockets": "SYS", "unknown": "?"}
"""As nvidia-smi topo -m names them, which is what people know."""
STYLES = {"nvlink": "good", "sockets": "warn"}
CELL = 6


def topology_lines(machine: Machine, glyphs: Glyphs, width: int) -> list[Line]:
    """The matrix with its legend; nothing with fewer than two GPUs or where the driver tells of no links."""
    gpus = [gpu for gpu in machine.gpus if not gpu.problem]
    if len(gpus) < 2 or not machine.links:
        return []
    shown = gpus[: max(2, (width - 2 * CELL) // CELL)]
    head: Line = [(pad("", CELL), ""), *[(pad(f"GPU{gpu.index}", CELL), "dim") for gpu in shown]]
    has_numa = any(gpu.numa_node is not None for gpu in shown)
    lines = [[*head, ("NUMA" if has_numa else "", "dim")]]
    for gpu in shown:
        row: Line = [(pad(f"GPU{gpu.index}", CELL), "dim")]
        row += [_cell(gpu, other, machine, glyphs) for other in shown]
        lines.append([*row, ("" if gpu.numa_node is None else str(gpu.numa_node), "text")])
    if hidden := len(gpus) - len(shown):
        lines.append([(tr("hardware.link.hidden", n=hidden), "warn")])
    used = dict.fromkeys(link.kind for link in machine.links)
    return [*lines, *_legend(list(used), machine, width)]


def _cell(gpu: Gpu, other: Gpu, machine: Machine, glyphs: Glyphs) -> tuple[str, str]:
    if gpu.index == other.index:
        return pad(glyphs.note, CELL), "dim"
    link = link_between(machine.links, gpu.index, other.index)
    return pad(_name(link), CELL), STYLES.get(link.kind, "text") if link else "dim"


def _name(link: Link | None) -> str:
    if link is None:
        return "?"
    return f"NV{link.nvlinks}" if link.nvlinks else SHORT[link.kind]


def _legend(kinds: list[str], machine: Machine, width: int) -> list[Line]:
    """What the short names that occur mean, and whether GPUs read each other's memory."""
    words = [f"{SHORT[kind]} = {tr(f'hardware.link.{kind}')}" for kind in kinds]
    told = {link.p2p for link in machine.links}
    if told != {None}:
        key = "all" if told == {True} else "none" if True not in told else "some"
        words.append(tr(f"hardware.p2p.{key}"))
    lines: list[Line] = []
    for word in words:
        if lines and sum(cells(text) for text, _ in lines[-1]) + cells(word) + 3 <= width:
            lines[-1] = [*lines[-1], (f"   {word}", "dim")]
        else:
            lines.append([(word, "dim")])
    return lines

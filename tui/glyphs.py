"""The signs the console draws with, and their `--ascii` stand-ins. Meaning never rests on colour, so each state has one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Glyphs:
    """One set of signs; every member is one cell wide."""

    current: str = "▸"
    running: str = "●"
    waiting: str = "○"
    paused: str = "‖"
    done: str = "✓"
    stopped: str = "■"
    failed: str = "✗"
    warning: str = "▲"
    note: str = "·"
    eval: str = "◆"
    arrow: str = "→"
    rule: str = "─"
    bar: str = "│"
    full: str = "█"
    empty: str = "░"
    marks: str = "●◆▲■★◇"


UNICODE = Glyphs()
ASCII = Glyphs(
    current=">", running="*", waiting="o", paused="=", done="+", stopped="#", failed="x", warning="!", note=".", eval="@", arrow=">",
    rule="-", bar="|", full="#", empty=".", marks="o+x#*@",
)  # fmt: skip

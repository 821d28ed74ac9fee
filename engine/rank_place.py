"""What the launcher tells a process of its place among the ranks, through the environment. No torch."""

import os
from pathlib import Path

from msgspec import Struct

FOLDER, STRATEGY, LAUNCHER = "DANLU_RANKS_FOLDER", "DANLU_STRATEGY", "DANLU_LAUNCHER"
"""The launcher's folder of pulses, the strategy it decided on, and its process id."""


class RankPlace(Struct, frozen=True):
    """local_rank, local_size: among the processes of this machine.  folder: pulses and last words.  meeting: where the ranks find
    each other, as torch.distributed takes it: a file in `folder` on one machine, so that no port is open; else the address torchrun
    gives.  launcher: its process id."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    strategy: str
    folder: Path
    meeting: str
    launcher: int


def place_of_this_process() -> RankPlace | None:
    """The place torchrun and the launcher have given this process, None for a process that stands alone."""
    found = os.environ
    if FOLDER not in found:
        return None
    folder, size = Path(found[FOLDER]), int(found["WORLD_SIZE"])
    alone = size == int(found["LOCAL_WORLD_SIZE"])
    return RankPlace(
        rank=int(found["RANK"]), size=size, local_rank=int(found["LOCAL_RANK"]), local_size=int(found["LOCAL_WORLD_SIZE"]),
        strategy=found[STRATEGY], folder=folder,
        meeting=f"file://{folder / 'meeting'}" if alone else "env://", launcher=int(found[LAUNCHER]),
    )  # fmt: skip

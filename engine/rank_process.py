"""One rank of a run of several: as the engine of one process, but only the first writes, and each leaves a last word for the launcher."""

import os
import sys
import time
from collections.abc import Callable

import msgspec

from engine import events
from engine.config import Config
from engine.control import Control
from engine.hardware import detect
from engine.kinship import die_with_parent
from engine.pulse import LastWord, Pulse
from engine.rank_place import RankPlace
from engine.rank_reporter import RankReporter
from engine.reporter import Reporter
from engine.run_directory import RunDirectory

CONSEQUENCES = ("PeerLost", "DistBackendError", "DistNetworkError", "DistStoreError")
"""Errors of calls that need the other ranks. FSDP2 waits for them by itself, so gloo's words are looked for too."""


def run_rank(run: RunDirectory, config: Config, place: RankPlace, train: Callable[..., events.EngineStopped]) -> int:
    """`train` as one of the ranks; return 0 after an orderly end, whatever its reason: another number would be a failure to torchrun."""
    die_with_parent()
    if os.getppid() in (1, place.launcher):
        return 1  # torchrun ended while this process was starting
    control = Control(run)
    control.install_signals()
    pulse = Pulse(place.folder, place.rank)
    written = Reporter(run) if place.rank == 0 else None
    if written is not None:  # the first rank tells of all GPUs of its machine
        written.watch_cards([gpu.index for gpu in detect(run.path.parent).usable_gpus])
    reporter = RankReporter(pulse, written)
    # What the launcher decided is not decided again: the memory in use is another by now.
    decided = msgspec.structs.replace(config.parallel, strategy=place.strategy, num_gpus=place.local_size)
    last = train(run, msgspec.structs.replace(config, parallel=decided), control, reporter, place, pulse)
    reporter.close()
    pulse.last_word(
        LastWord(place.rank, last.reason, last.exit_code, last.step, last.error, is_consequence=_is_consequence(last), time=time.time())
    )
    sys.stderr.flush()
    return last.exit_code if last.reason == "failed" else 0


def _is_consequence(last: events.EngineStopped) -> bool:
    return last.error.startswith(CONSEQUENCES) or "gloo" in last.error.lower() or "nccl" in last.error.lower()

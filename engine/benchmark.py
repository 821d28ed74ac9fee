"""A short measured benchmark of this machine: matrix products by precision, memory and disk.

Measures for a second or two when asked, and remembers the result in the user's state folder. Products in bf16 and fp16 need torch, which is
asked in a process of its own (`engine.benchmark_torch`), so that the caller stays light and a broken installation can't take it along.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.host import nearest_folder

PATIENCE_S = 120.0
COPIED_BYTES = 256 << 20
WRITTEN_BYTES = 64 << 20
ROUNDS = 3


class Benchmark(Struct, frozen=True, kw_only=True):
    """device: what the products ran on, as PyTorch names it.  gflops: rate of matrix products by precision, in the order measured.
    memory_gbs: bytes read and written by a copy, a second.  disk_write_mbs, disk_read_mbs: a file of 64 MiB, synced, and read again
    past the cache where the system allows.  time: Unix seconds.  problem: why products could not be measured."""

    device: str = ""
    gflops: dict[str, float] = {}
    device_memory_gbs: float | None = None
    memory_gbs: float | None = None
    disk_write_mbs: float | None = None
    disk_read_mbs: float | None = None
    time: float = 0.0
    problem: str = ""


def measure(folder: Path) -> Benchmark:
    """Measure now, the disk under `folder`. Never raises."""
    asked, problem = _ask_torch()
    written, read = measure_disk(folder)
    return Benchmark(
        device=asked.get("device", ""), gflops=asked.get("gflops", {}), device_memory_gbs=asked.get("memory_gbs"),
        memory_gbs=measure_memory(), disk_write_mbs=written, disk_read_mbs=read, time=time.time(), problem=problem,
    )  # fmt: skip


def measure_memory(size: int = COPIED_BYTES) -> float:
    """GB/s of the fastest of three copies in main memory, one thread; both ways counted."""
    import numpy as np

    source = np.ones(size, dtype=np.uint8)
    target = np.empty_like(source)
    return 2 * size / min(_timed(lambda: np.copyto(target, source)) for _ in range(ROUNDS)) / 1e9


def measure_disk(folder: Path, size: int = WRITTEN_BYTES) -> tuple[float | None, float | None]:
    """MB/s of writing a file and syncing it, and of reading it again; None where it cannot be written."""
    place = nearest_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            block = os.urandom(size)
            written = _timed(lambda: (file.write(block), os.fsync(file.fileno())))
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            return size / written / 1e6, size / _timed(file.read) / 1e6
    except OSError:
        return None, None


def remember(state: Path, found: Benchmark) -> None:
    """Keep `found` for later starts; a folder that cannot be written keeps nothing."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / "benchmark.json").write_bytes(msgspec.json.encode(found))
    except OSError:
        return


def recall(state: Path) -> Benchmark | None:
    """The newest remembered benchmark, None if there is none."""
    try:
        return msgspec.json.decode((state / "benchmark.json").read_bytes(), type=Benchmark)
    except (OSError, msgspec.MsgspecError):
        return None


def cpu_rates(state: Path) -> dict[str, float]:
    """GFLOP/s of this machine's CPU by precision, as remembered; empty where it was never measured."""
    found = recall(state)
    return found.gflops if found is not None and found.device.startswith("CPU") else {}


def _ask_torch() -> tuple[dict, str]:
    """What torch measured, or why it could not."""
    try:
        asked = subprocess.run(
            [sys.executable, "-m", "engine.benchmark_torch"],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parent.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {}, f"PyTorch did not answer within {PATIENCE_S:.0f} s"
    if asked.returncode:
        return {}, (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
    return json.loads(asked.stdout.strip().splitlines()[-1]), ""


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return max(1e-9, time.perf_counter() - start)

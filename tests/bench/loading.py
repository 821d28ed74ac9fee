"""`python -m tests.bench.loading FILE…`: data files opened by Danlu and by `datasets.load_dataset`, one process each, one table.

Both import nothing before the clock starts but what they need. `datasets` comes from .bench (`make bench` puts it there); its cache
is a fresh folder. CPU time is of the process and its children; wall time needs a quiet machine, so the load is printed beside it.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
WAYS = ("danlu", "datasets", "datasets, streaming")


def main() -> int:
    """Measure each file each way and print the table."""
    files = [Path(name).resolve() for name in sys.argv[1:]]
    if not files:
        print("usage: python -m tests.bench.loading FILE…", file=sys.stderr)
        return 2
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| file | way | records | import s | first row s | all s | CPU s | peak RSS MiB |\n|---|---|---|---|---|---|---|---|")
    for file in files:
        for way in WAYS:
            one = _measured(way, file)
            figures = f"{one['import']:.2f} | {one['first']:.2f} | {one['all']:.1f} | {one['cpu']:.1f} | {one['peak_mib']:.0f}"
            print(f"| {file.name}, {file.stat().st_size >> 20} MiB | {way} | {one['records']:,} | {figures} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


def _measured(way: str, file: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        told = {"HF_HOME": cache, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": cache, "PYTHONPATH": str(PROJECT / ".bench")}
        command = [sys.executable, "-m", "tests.bench.loading", "--measure", way, str(file)]
        done = subprocess.run(command, cwd=PROJECT, env=os.environ | told, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(way: str, file: str) -> dict[str, float]:
    """Seconds to the first row and to all of them, from the end of the imports, in this process."""
    start = time.perf_counter()
    load = _danlu if way == "danlu" else _datasets
    first, count, imported = load(file, way.endswith("streaming"))
    end = time.perf_counter()
    usage = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "import": imported - start,
        "first": first - imported,
        "all": end - imported,
        "cpu": sum(one.ru_utime + one.ru_stime for one in usage),
        "peak_mib": max(one.ru_maxrss for one in usage) / 1024,
        "records": count,
    }


def _danlu(file: str, _: bool) -> tuple[float, int, float]:
    from data.reading import open_file

    imported = time.perf_counter()
    dataset = open_file(Path(file))
    assert dataset.records[0].conversation.turns
    first = time.perf_counter()
    dataset.index()
    return first, dataset.values, imported


def _datasets(file: str, streaming: bool) -> tuple[float, int, float]:
    from datasets import disable_progress_bars, load_dataset  # pyright: ignore[reportMissingImports] - from .bench

    imported = time.perf_counter()
    disable_progress_bars()
    rows = load_dataset("json", data_files=file, split="train", streaming=streaming)
    assert next(iter(rows))
    first = time.perf_counter()
    return first, sum(1 for _ in rows) if streaming else len(rows), imported


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        raise SystemExit(main())

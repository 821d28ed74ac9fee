"""F6: bits flip, files end too early, are missing or foreign, the clock goes back. The newest checkpoint that verifies is found."""

import os
import shutil
from pathlib import Path

from engine.manifest import find_fault, newest_verified, rotate
from engine.run_directory import RunDirectory
from tests.faults.bench import Bench
from tests.faults.runs import undisturbed

TITLE = "1,000 single-bit flips, truncation at every 4 KiB, missing and foreign files, clock set back"
SECONDS = 120
PAGE = 4096


def inject(bench: Bench) -> None:
    """Damage the newest of two real checkpoints in every way; the older one is taken and the reason names the file."""
    run = _copy(bench, undisturbed(bench))
    newest, older = run.checkpoints()[:2]
    files = sorted(newest.iterdir())
    for _ in range(bench.count(40, 1000)):
        path = bench.random.choices(files, [file.stat().st_size for file in files])[0]
        bit = bench.random.randrange(8 * path.stat().st_size)
        with bench.injection(f"bit {bit} of {path.name}"), _kept(path):
            _flip(path, bit)
            _falls_back(run, older)
    ends = [(path, end) for path in files for end in range(0, path.stat().st_size, PAGE)]
    for path, end in bench.some(ends, 20):
        with bench.injection(f"{path.name} ends after {end} bytes"), _kept(path):
            os.truncate(path, end)
            _falls_back(run, older)
    for path in files:
        with bench.injection(f"{path.name} is missing"), _kept(path):
            path.unlink()
            _falls_back(run, older)
    _foreign(bench, run, newest)
    _clock(bench, run, newest)


class _kept:
    """Puts a file's bytes back afterwards."""

    def __init__(self, path: Path):
        self._path, self._content = path, path.read_bytes()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._path.unlink(missing_ok=True)
        self._path.write_bytes(self._content)


def _foreign(bench: Bench, run: RunDirectory, newest: Path) -> None:
    """What is not ours neither disturbs nor is taken for a checkpoint."""
    for name in ("checkpoint-99", "checkpoint-٩٩", "checkpoint-9999999999999999999999", "checkpoint-41-old", "checkpoint-"):
        with bench.injection(f"an empty folder {name}"):
            (run.path / name).mkdir()
            found, _ = newest_verified(run)
            (run.path / name).rmdir()
            assert found == newest
    with bench.injection("an older checkpoint under a newer name"):
        shutil.copytree(run.checkpoints()[1], run.checkpoint(77))
        found, skipped = newest_verified(run)
        shutil.rmtree(run.checkpoint(77))
        assert found == newest and "checkpoint-77" in skipped[0]
    with bench.injection("a foreign file in the folder"):
        (newest / "pytorch_model.bin").write_bytes(b"\x80\x04.")
        assert find_fault(newest) is None or newest_verified(run)[0] == run.checkpoints()[1]
        (newest / "pytorch_model.bin").unlink()


def _clock(bench: Bench, run: RunDirectory, newest: Path) -> None:
    """Order is by step, so times of change mean nothing."""
    with bench.injection("the newest checkpoint looks the oldest"):
        os.utime(newest, (0, 0))
        for path in newest.iterdir():
            os.utime(path, (0, 0))
        rotate(run, keep=2)
        assert newest_verified(run) == (newest, []) and newest in run.checkpoints()


def _flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _falls_back(run: RunDirectory, older: Path) -> None:
    found, skipped = newest_verified(run)
    assert found == older, f"{found} was taken"
    assert len(skipped) == 1, skipped


def _copy(bench: Bench, run: RunDirectory) -> RunDirectory:
    return RunDirectory(shutil.copytree(run.path, bench.folder / "run"))

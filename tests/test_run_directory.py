"""One engine a run directory, and names that stay inside the output folder."""

import subprocess
import sys

import pytest

from engine import run_directory
from engine.errors import EnvironmentFault, RunError
from engine.run_directory import RunDirectory, RunLock

HOLD = (
    "import sys; from engine.run_directory import *\nlock = RunLock(RunDirectory(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def holder(run: RunDirectory) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_alive_means_the_lock_is_held(run_dir):
    """A run is alive while its engine holds the lock, and its process id can be told."""
    assert not run_dir.is_alive()
    process = holder(run_dir)

    assert run_dir.holder() == process.pid

    process.kill()
    process.wait()
    assert not run_dir.is_alive()


def test_a_second_engine_is_refused(run_dir, monkeypatch):
    """Two starts on one run directory: the second is told who runs there."""
    monkeypatch.setattr(run_directory, "LOCK_PATIENCE_S", 0.1)
    process = holder(run_dir)

    with pytest.raises(RunError, match=f"already running here .pid {process.pid}"):
        RunLock(run_dir)

    process.kill()
    process.wait()
    RunLock(run_dir)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "x" * 65, "名", "a b", "-\n"])
def test_bad_names_are_refused(tmp_path, name):
    """A run name is 1 to 64 safe characters and never leaves the output folder."""
    with pytest.raises(RunError, match="is not allowed"):
        run_directory.create(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused_and_nothing_lost(tmp_path):
    """Starting twice under one name leaves the first run as it was."""
    first = run_directory.create(tmp_path, "one")
    first.config.write_text("kept")

    with pytest.raises(RunError, match="this run exists"):
        run_directory.create(tmp_path, "one")

    assert first.config.read_text() == "kept"


def test_a_run_directory_is_private(tmp_path):
    """Nobody else on the machine reads the run."""
    assert run_directory.create(tmp_path, "one").path.stat().st_mode & 0o777 == 0o700


def test_an_output_folder_that_is_a_file_is_named(tmp_path):
    """The machine's refusal comes with the key to change."""
    (tmp_path / "runs").write_text("")

    with pytest.raises(EnvironmentFault, match=r"set run\.output_dir"):
        run_directory.create(tmp_path / "runs", "one")


def test_an_unknown_run_names_the_known_ones(tmp_path):
    """A typo in a run's name shows what there is."""
    run_directory.create(tmp_path, "alpha").config.write_text("")

    with pytest.raises(RunError, match="known runs: alpha"):
        run_directory.open_run(tmp_path, "alpa")


def test_checkpoints_are_newest_first_and_foreign_folders_ignored(run_dir):
    """Numeric order, not alphabetical; other folders are not checkpoints."""
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-x", ".tmp-checkpoint-11-1", "checkpoint-"):
        (run_dir.path / name).mkdir()

    assert [path.name for path in run_dir.checkpoints()] == ["checkpoint-10", "checkpoint-9"]

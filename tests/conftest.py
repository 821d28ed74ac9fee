"""Shared pieces of the tests: where third-party data lies, a run directory, a tiny model of each family."""

from pathlib import Path

import pytest

from engine.run_directory import RunDirectory

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder of third-party data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("third-party data is not here")
    return SHARED


@pytest.fixture
def run_dir(tmp_path) -> RunDirectory:
    """An empty run directory."""
    path = tmp_path / "runs" / "test"
    path.mkdir(parents=True)
    return RunDirectory(path)

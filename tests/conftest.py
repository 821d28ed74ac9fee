"""Shared pieces of the tests: where third-party data lies, a run directory, a tiny model of each family."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models gain nothing from threads, and engines that tests start then add alike

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="danlu-tests-")  # what tests learn of this machine is not the user's

import pytest
from hypothesis import settings

from data.tokenizer import Tokenizer, load_tokenizer
from engine.run_directory import RunDirectory
from tests.tokenizers import qwen3_tokenizer_folder, smollm2_tokenizer_folder

atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
settings.register_profile("danlu", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("danlu")
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


@pytest.fixture(scope="session")
def qwen3_folder(tmp_path_factory) -> Path:
    """A folder with the real Qwen3 tokenizer and the thinking template."""
    return qwen3_tokenizer_folder(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="session")
def smollm2_folder(tmp_path_factory) -> Path:
    """A folder with SmolLM2's tokenizer, whose template knows nothing of thinking."""
    return smollm2_tokenizer_folder(tmp_path_factory.mktemp("smollm2"))


@pytest.fixture(scope="session")
def qwen3(qwen3_folder) -> Tokenizer:
    """The Qwen3 tokenizer, loaded."""
    return load_tokenizer(qwen3_folder)


@pytest.fixture(scope="session")
def smollm2(smollm2_folder) -> Tokenizer:
    """The SmolLM2 tokenizer, loaded."""
    return load_tokenizer(smollm2_folder)

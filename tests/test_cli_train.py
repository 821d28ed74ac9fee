"""A whole run from the command line: a real engine, a tiny model, no terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.launch import PROJECT
from tests.engine_runs import write_records

CONFIG = """
[model]
name = "{model}"
precision = "fp32"
[data]
path = "d.jsonl"
max_seq_length = 128
[train]
max_steps = 2
[eval]
at_start = false
[sample]
num_prompts = 0
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A configuration with its data beside it."""
    from tests.tiny_models import tiny_model  # here, because it needs torch, which collecting the tests should not

    (tmp_path / "model").mkdir()
    model = tiny_model("llama", tmp_path / "model")
    write_records(tmp_path / "d.jsonl")
    (tmp_path / "tiny.toml").write_text(CONFIG.format(model=model), encoding="utf-8")
    return tmp_path


def danlu(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments], capture_output=True, text=True, timeout=300, cwd=folder, env=environment,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_run_from_start_to_result(folder):
    """Plain lines on stderr, the finished model's folder on stdout, exit code 0; the list, the log and a refused resume agree."""
    trained = danlu(folder, "train", "tiny.toml", "--name", "first", "--set", "train.seed=7")

    assert trained.returncode == 0, trained.stderr
    result = Path(trained.stdout.strip())
    assert result == folder / "runs" / "first" / "final_model" and (result / "adapter_config.json").is_file()
    assert "step 2/2" in trained.stderr and "Finished" in trained.stderr

    listed = json.loads(danlu(folder, "runs", "--json").stdout)["runs"]
    assert [(run["name"], run["status"], run["step"]) for run in listed] == [("first", "finished", 2)]
    assert "engine stopped: finished" in danlu(folder, "logs", "first").stdout
    assert danlu(folder, "resume", "first").returncode == 2
    assert "seed = 7" in (folder / "runs" / "first" / "config.toml").read_text(encoding="utf-8")

"""The whole product on the demo model: learnt, killed, resumed, watched in a real terminal that goes away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events
from engine.run_directory import RunDirectory
from tests.conftest import PROJECT
from tests.engine_runs import losses, of_type
from tests.patience import ended, wait_until
from tests.terminal import Terminal
from tests.tokenizers import smollm2_gguf

CONFIG = """\
[model]
name = "demo"
[data]
path = "bundled"
limit = 24
eval_fraction = 0.2
max_seq_length = 256
over_length = "truncate_thinking"
[train]
batch_size = 1
gradient_accumulation_steps = 2
learning_rate = 1e-3
max_steps = 12
[eval]
every_steps = 0
[sample]
every_steps = 0
num_prompts = 1
max_new_tokens = 8
[checkpoint]
every_steps = 2
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path) -> Path:
    """A user's folder with a configuration; skipped where the demo model is not installed."""
    smollm2_gguf()
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path


def danlu(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command without a terminal."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "tui", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_a_run_killed_in_the_middle_learns_to_the_end(folder):
    """Detached start, kill -9, `danlu resume`: every step is done, the loss has fallen, the result is named on stdout."""
    started = danlu(folder, "train", "run.toml", "--name", "one", "--detach")
    assert started.returncode == 0, started.stderr
    run = RunDirectory(folder / "runs" / "one")
    wait_until(lambda: len(losses(run)) >= 5, "five steps")
    os.kill(run.holder() or 0, signal.SIGKILL)
    wait_until(lambda: not run.is_alive(), "the engine's end")
    resumed = danlu(folder, "resume", "one", "--plain")

    assert resumed.returncode == 0, resumed.stderr
    assert "runs/one/final_model" in resumed.stdout
    assert sorted(losses(run)) == list(range(1, 13))
    assert 4 in [event.resumed_step for event in of_type(run, events.EngineStarted)]
    first, last = of_type(run, events.Eval)[0], of_type(run, events.Eval)[-1]
    assert last.step == 12 and last.loss < 0.95 * first.loss


def test_the_terminal_goes_and_the_run_is_picked_up_again(folder):
    """Started in a terminal that is then lost; attached from a second one, stopped by a key (3), resumed to the end."""
    first = Terminal(["--lang", "en", "train", "run.toml", "--name", "two"], folder, PYTHONPATH=str(PROJECT))
    first.wait_for("training")
    run = RunDirectory(folder / "runs" / "two")
    wait_until(lambda: losses(run), "a step")
    first.close()
    ended(first.process, "the console")
    seen = max(losses(run))
    wait_until(lambda: max(losses(run)) > seen, "a step without any console")

    second = Terminal(["--lang", "en", "attach", "two"], folder, PYTHONPATH=str(PROJECT))
    second.wait_for("/12")
    second.press("x")
    second.wait_for("Stop the run?")
    second.press("y")
    second.wait_for("Stopped on command after step")
    second.press("q")
    assert ended(second.process, "the console") == 3
    assert not run.is_alive()

    resumed = danlu(folder, "resume", "two", "--plain")
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(losses(run)) == list(range(1, 13))

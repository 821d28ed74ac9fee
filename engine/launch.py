"""Starts an engine, under its supervisor, that outlives the terminal: own session, stdin from /dev/null, output to engine.log.

Does not wait for it and does not read its events.
"""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from engine import commands, queue
from engine.run_directory import RunDirectory

PROJECT = Path(__file__).resolve().parent.parent
"""Working directory of engines, so that a folder of the user's called `engine` or `data` is never imported."""


def launch_engine(run: RunDirectory) -> subprocess.Popen:
    """Start the engine of a run detached and return its supervisor (the caller may poll it, must not kill it).

    A pipe for its output would kill it at its next print once the console is gone, hence a file.
    """
    log = os.open(run.engine_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "engine.supervise", str(run.path.resolve())],
            cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=engine_environment(),
        )  # fmt: skip
    finally:
        os.close(log)


def engine_environment() -> dict[str, str]:
    """The process environment of engines. What the user has set stays.

    One malloc arena and small stores of compiled kernels, oneDNN's own and PyTorch's list of them, take 0.1 to 0.2 GiB each off the
    peak on a CPU at the same speed (docs/log.md): every micro-batch has a length of its own, and so kernels that hardly ever serve
    again. PyTorch's list of 1,024 would let a run grow for hundreds of steps.
    """
    defaults = {
        "PYTORCH_ALLOC_CONF": "expandable_segments:True", "MALLOC_ARENA_MAX": "1", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
        "LRU_CACHE_CAPACITY": "16",
    }  # fmt: skip
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "TOKENIZERS_PARALLELISM": "false"}
    return defaults | os.environ | fixed


def send(run: RunDirectory, name: commands.Name, prompt: str = "") -> str:
    """Append a command for the engine and return its id. Raises OSError where the file can't be written."""
    command = commands.Command(id=uuid.uuid4().hex, time=time.time(), type=name, prompt=prompt)
    queue.append_command(run.commands, command)
    return command.id

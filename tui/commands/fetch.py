"""`danlu fetch`: brings a model onto this machine from a hub, a mirror or ModelScope, or converts a GGUF file once."""

import argparse
import subprocess
import sys
from pathlib import Path

from engine.config import Model
from engine.errors import ModelError
from engine.launch import PROJECT
from engine.model_source import Progress, locate
from tui import output
from tui.gate import safe
from tui.progress_line import ProgressLine
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=tr("cli.option.fetch_model"))
    parser.add_argument("--source", choices=("auto", "huggingface", "modelscope"), default="auto", help=tr("cli.option.source"))
    parser.add_argument("--revision", metavar="REVISION", default="", help=tr("cli.option.revision"))


def run(options: argparse.Namespace) -> int:
    """Print the folder that holds the model when it is there. An interrupted download goes on where it stopped."""
    progress = ProgressLine()
    try:
        folder = locate(Model(name=options.model, source=options.source, revision=options.revision), progress.tell, _convert)
    finally:
        progress.close()
    output.narrate(tr("cli.fetch.done"))
    output.show(safe(str(folder)))
    return 0


def _convert(gguf: Path, folder: Path, progress: Progress) -> None:
    """Convert in a process of its own, because that needs torch. Raises ModelError with its last words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.gguf", str(gguf.absolute()), str(folder.absolute())],
        cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    last = ""
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            if text := line.strip():
                last = text
                progress(0, 0, text)
    if process.wait() != 0:
        raise ModelError(f"{gguf}: cannot be converted: {last}")

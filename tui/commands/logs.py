"""`danlu logs`: a run's log as lines for people, control characters made visible."""

import argparse
import time
from pathlib import Path

from engine.errors import RunError
from engine.queue import Tail
from engine.run_directory import RunDirectory, open_run
from tui import output
from tui.commands.console import RUNS_DIR
from tui.gate import safe
from tui.texts import tr

POLL_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("-f", "--follow", action="store_true", help=tr("cli.option.follow"))
    parser.add_argument("--engine", action="store_true", help=tr("cli.option.engine"))


def run(options: argparse.Namespace) -> int:
    """Print training.log, or the engine's raw output, on stdout."""
    logged = open_run(options.runs_dir or RUNS_DIR, options.run)
    path = logged.engine_log if options.engine else logged.training_log
    if not path.is_file() and not options.follow:
        raise RunError(f"{path}: this run has written no such log; the engine's raw output: danlu logs {logged.name} --engine")
    _print(logged, path, options.follow)
    return 0


def _print(logged: RunDirectory, path: Path, follow: bool) -> None:
    """Every whole line so far, then, when following, what comes until the engine has ended."""
    tail = Tail(path, lambda line: line)
    while True:
        is_alive = follow and logged.is_alive()  # asked before reading, so that the last lines are not missed
        while lines := tail.read():
            for line in lines:
                output.show(safe(line.decode("utf-8", "replace")))
        if not is_alive:
            return
        time.sleep(POLL_S)

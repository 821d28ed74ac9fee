"""`danlu stop`: ends a live run after its current step, with a checkpoint, and waits for that."""

import argparse
import time

from engine.errors import RunError
from engine.launch import send
from engine.run_directory import open_run
from tui import output
from tui.commands.console import RUNS_DIR
from tui.gate import safe
from tui.summary import reference, summarise
from tui.texts import tr

POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))


def run(options: argparse.Namespace) -> int:
    """Ask the engine to stop and wait until it has ended. Raises RunError when none is running; ctrl-C leaves the wait only."""
    stopped = open_run(options.runs_dir or RUNS_DIR, options.run)
    pid = stopped.holder()
    if pid is None:
        raise RunError(f"{stopped.name}: no engine is running here, nothing to stop (it is {summarise(stopped).status})")
    send(stopped, "stop")
    output.narrate(tr("cli.stop.sent", name=safe(stopped.name), pid=pid))
    while stopped.is_alive():
        time.sleep(POLL_S)
    summary = summarise(stopped)
    if summary.status == "finished":
        output.narrate(tr("cli.stop.finished", name=safe(stopped.name), step=summary.step, path=safe(str(stopped.final_model))))
    else:
        state = tr(f"train.state.{summary.status}")
        output.narrate(tr("cli.stop.ended", name=safe(stopped.name), state=state, step=summary.step, reference=safe(reference(stopped))))
    return 0 if summary.status in ("finished", "stopped") else 1

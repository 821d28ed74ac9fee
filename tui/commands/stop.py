"""`danlu stop`: ends a live run after its current step, with a checkpoint, and waits for that; or at once, one that no longer answers."""

import argparse
import time

from engine.errors import RunError
from engine.events import EngineStopped
from engine.launch import send
from engine.processes import end_engine
from engine.queue import last_event
from engine.run_directory import RunDirectory, open_run
from tui import output
from tui.commands.console import RUNS_DIR
from tui.follow import LAST_WORD_S
from tui.gate import safe
from tui.summary import reference, summarise
from tui.texts import tr

POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--now", action="store_true", help=tr("cli.option.now"))


def run(options: argparse.Namespace) -> int:
    """Ask the engine to stop and wait until it has ended. Raises RunError when none is running; ctrl-C leaves the wait only."""
    stopped = open_run(options.runs_dir or RUNS_DIR, options.run)
    pid = stopped.holder()
    if pid is None:
        state = tr(f"train.state.{summarise(stopped).status}")
        raise RunError(tr("cli.stop.not_running", name=safe(stopped.name), state=state))
    if options.now:
        output.narrate(tr("cli.stop.now", name=safe(stopped.name), pid=pid))
        if end_engine(stopped):
            output.narrate(tr("cli.stop.killed", path=safe(str(stopped.engine_log))))
    else:
        send(stopped, "stop")
        output.narrate(tr("cli.stop.sent", name=safe(stopped.name), pid=pid))
        _wait_for_end(stopped)
    _wait_for_last_word(stopped)
    summary = summarise(stopped)
    if summary.status == "finished":
        output.narrate(tr("cli.stop.finished", name=safe(stopped.name), step=summary.step, path=safe(str(stopped.final_model))))
    else:
        state = tr(f"train.state.{summary.status}")
        output.narrate(tr("cli.stop.ended", name=safe(stopped.name), state=state, step=summary.step, reference=safe(reference(stopped))))
    return 0 if options.now or summary.status in ("finished", "stopped") else 1


def _wait_for_end(run: RunDirectory) -> None:
    """Until no engine is there; one that makes no progress is told about once, with the way to end it."""
    has_told = False
    while run.is_alive():
        if not has_told and summarise(run).status == "stalled":
            has_told = True
            output.narrate(tr("cli.stop.stalled", name=safe(reference(run))))
        time.sleep(POLL_S)


def _wait_for_last_word(run: RunDirectory) -> None:
    """The supervisor of an engine that was killed writes why, a moment later."""
    deadline = time.monotonic() + LAST_WORD_S
    while summarise(run).status == "died" and not isinstance(last_event(run.events), EngineStopped) and time.monotonic() < deadline:
        time.sleep(POLL_S)

"""`danlu` without a command: the console. Also what the other commands open when there is a terminal."""

import argparse
from pathlib import Path

from engine.config_file import Document
from engine.errors import RunError
from engine.run_directory import RunDirectory, find_runs
from tui import output
from tui.gate import safe
from tui.logout import logout_hint
from tui.session import Session
from tui.summary import reference, summarise
from tui.texts import tr

RUNS_DIR = Path("runs")


def run(options: argparse.Namespace) -> int:
    """Open the console, on the live run if there is one."""
    if not output.has_terminal():
        raise RunError(tr("cli.needs_terminal"))
    runs_dir = options.runs_dir or RUNS_DIR
    live = next((found for found in find_runs(runs_dir) if found.is_alive()), None)
    return _open(Session(run=live, output_dir=runs_dir, ascii=options.ascii), "train" if live else "runs")


def show_run(shown: RunDirectory, options: argparse.Namespace, document: Document | None = None) -> int:
    """Open the console on `shown`; return that run's exit code if it has ended by the time the console is left, else 0."""
    session = Session(document=document, run=shown, output_dir=shown.path.parent, ascii=options.ascii)
    return _open(session, "train") or summarise(shown).exit_code or 0


def _open(session: Session, start_screen: str) -> int:
    """Run the console until it is left, then say how to come back to a run that goes on. Returns what it ended with: 0 when left."""
    from tui.app import DanluApp

    app = DanluApp(session, start_screen)
    app.run()
    if session.run is not None and summarise(session.run).is_alive:
        output.narrate(tr("common.left_running", name=safe(reference(session.run))))
        if hint := logout_hint():
            output.narrate(hint)
    return app.return_code or 0

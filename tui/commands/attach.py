"""`danlu attach`: watches a run, live or past. Leaving never stops it."""

import argparse
from pathlib import Path

from engine.errors import RunError
from engine.run_directory import RunDirectory, find_runs, open_run
from tui import output
from tui.commands.console import RUNS_DIR, show_run
from tui.gate import safe
from tui.summary import reference
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="?", help=tr("cli.option.run_optional"))
    parser.add_argument("--plain", action="store_true", help=tr("cli.option.plain_attach"))


def run(options: argparse.Namespace) -> int:
    """Show the run until it ends or the user leaves; the exit code of a run that has ended is the command's."""
    folder = options.runs_dir or RUNS_DIR
    shown = open_run(folder, options.run) if options.run else _live_run(folder)
    if options.plain or not output.has_terminal():
        from tui.plain import watch

        return watch(shown, ascii=options.ascii)
    return show_run(shown, options)


def _live_run(folder: Path) -> RunDirectory:
    """The newest live run; the others are named. Raises RunError when none is live."""
    runs = find_runs(folder)
    live = [found for found in runs if found.is_alive()]
    if not live:
        name = reference(runs[0]) if runs else ""
        raise RunError(tr("cli.runs.no_live" if runs else "cli.runs.none", folder=folder, name=name))
    if len(live) > 1:
        output.narrate(tr("cli.runs.others", names=safe(", ".join(found.name for found in live[1:]))))
    return live[0]

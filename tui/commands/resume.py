"""`danlu resume`: goes on with a run from its newest checkpoint that verifies, and watches it."""

import argparse
import shlex

from engine.changes import Change
from engine.run_directory import RunDirectory, open_run
from tui import output
from tui.commands.console import RUNS_DIR
from tui.commands.nodes import add_node_arguments, place_this_machine
from tui.commands.train import watch_started
from tui.gate import safe
from tui.start import resume_run
from tui.summary import reference, summarise
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=tr("cli.option.set"))
    parser.add_argument("--detach", action="store_true", help=tr("cli.option.detach"))
    parser.add_argument("--plain", action="store_true", help=tr("cli.option.plain"))
    add_node_arguments(parser)


def change_line(run: RunDirectory, change: Change) -> str:
    """What is otherwise from now on, and how it is taken back."""
    unset = tr("config.unset")
    before, after = (safe(value) or unset for value in (change.before, change.after))
    back = safe(shlex.quote(f"{change.key}={change.before}"))
    return tr("cli.resume.changed", key=change.key, before=before, after=after, name=safe(reference(run)), back=back)


def run(options: argparse.Namespace) -> int:
    """Start an engine for the run; its exit code is the command's."""
    resumed = open_run(options.runs_dir or RUNS_DIR, options.run)
    since = summarise(resumed).last_seq + 1
    place_this_machine(options)
    output.narrate(tr("common.launching"))
    for change in resume_run(resumed, options.set):
        output.narrate(change_line(resumed, change))
    return watch_started(resumed, options, since)

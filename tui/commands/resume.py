"""`danlu resume`: goes on with a run from its newest checkpoint that verifies, and watches it."""

import argparse

from engine.run_directory import open_run
from tui import output
from tui.commands.console import RUNS_DIR
from tui.commands.nodes import add_node_arguments, place_this_machine
from tui.commands.train import watch_started
from tui.start import resume_run
from tui.summary import summarise
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=tr("cli.option.set"))
    parser.add_argument("--detach", action="store_true", help=tr("cli.option.detach"))
    parser.add_argument("--plain", action="store_true", help=tr("cli.option.plain"))
    add_node_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Start an engine for the run; its exit code is the command's."""
    resumed = open_run(options.runs_dir or RUNS_DIR, options.run)
    since = summarise(resumed).last_seq + 1
    place_this_machine(options)
    output.narrate(tr("common.launching"))
    resume_run(resumed, options.set)
    return watch_started(resumed, options, since)

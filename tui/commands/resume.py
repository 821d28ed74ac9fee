"""`danlu resume`: goes on with a run from its newest checkpoint that verifies, and watches it."""

import argparse

from engine.run_directory import open_run
from tui import output
from tui.commands.console import RUNS_DIR, show_run
from tui.gate import safe
from tui.start import resume_run
from tui.summary import reference, summarise
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--detach", action="store_true", help=tr("cli.option.detach"))
    parser.add_argument("--plain", action="store_true", help=tr("cli.option.plain"))


def run(options: argparse.Namespace) -> int:
    """Start an engine for the run; its exit code is the command's."""
    resumed = open_run(options.runs_dir or RUNS_DIR, options.run)
    since = summarise(resumed).last_seq + 1
    output.narrate(tr("common.launching"))
    resume_run(resumed)
    if options.detach:
        output.narrate(tr("cli.plain.detached", name=safe(reference(resumed))))
        output.show(resumed.name)
        return 0
    if options.plain or not output.has_terminal():
        from tui.plain import watch

        output.narrate(tr("cli.plain.how_to_leave"))
        return watch(resumed, since=since, stops=True, ascii=options.ascii)
    return show_run(resumed, options)

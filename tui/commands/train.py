"""`danlu train`: starts a run from a configuration file or a preset, and watches it."""

import argparse
from pathlib import Path

from engine.config_file import Document, find_config, open_document, presets
from engine.run_directory import RunDirectory
from tui import output
from tui.commands.console import show_run
from tui.commands.nodes import add_node_arguments, name_here, place_this_machine
from tui.gate import safe
from tui.logout import logout_hint
from tui.start import start_run
from tui.summary import reference
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(preset.stem for preset in presets())
    parser.add_argument("config", metavar="CONFIG", help=tr("cli.option.config", presets=names))
    add_start_arguments(parser)
    parser.add_argument("--nnodes", metavar="N", type=int, default=0, help=tr("cli.option.nnodes"))
    add_node_arguments(parser)


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that starts a run takes."""
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=tr("cli.option.set"))
    parser.add_argument("--name", metavar="RUN", default="", help=tr("cli.option.name"))
    parser.add_argument("--detach", action="store_true", help=tr("cli.option.detach"))
    parser.add_argument("--plain", action="store_true", help=tr("cli.option.plain"))


def run(options: argparse.Namespace) -> int:
    """Start a run and watch it; its exit code is the command's."""
    document = open_config(options.config, options.set, options.runs_dir)
    if options.nnodes:
        document.set("parallel.num_nodes", options.nnodes)
    place_this_machine(options)
    output.narrate(tr("common.launching"))
    started = start_run(document, name_here(options, document))
    output.narrate(tr("cli.plain.started", name=safe(started.name), path=safe(str(started.path))))
    return watch_started(started, options, 0, document)


def watch_started(started: RunDirectory, options: argparse.Namespace, since: int, document: Document | None = None) -> int:
    """Watch a run that was just started, as the user asked; its exit code is the command's, 0 when it is left running.

    since: `seq` of the first event of this start.
    """
    draws = output.has_terminal() and not (options.plain or options.detach)
    if not draws and (hint := logout_hint()):  # after the screen the console says it
        output.narrate(hint)
    if options.detach:
        output.narrate(tr("cli.plain.detached", name=safe(reference(started))))
        output.show(started.name)
        return 0
    if draws:
        return show_run(started, options, document)
    from tui.plain import watch

    output.narrate(tr("cli.plain.how_to_leave"))
    return watch(started, since=since, stops=True, ascii=options.ascii)


def open_config(name: str, sets: list[str], runs_dir: Path | None) -> Document:
    """The configuration or preset called `name` with its changes. Raises ConfigError."""
    document = open_document(find_config(name), sets)
    if runs_dir is not None:
        document.set("run.output_dir", str(runs_dir))
    return document

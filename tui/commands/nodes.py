"""Options of a run on several machines: the same command on each, with a number of its own and one place to meet."""

import argparse
import os
from itertools import count
from pathlib import Path

from engine.config_file import Document
from engine.errors import ConfigError
from engine.placement import NODE_RANK, RENDEZVOUS
from tui.texts import tr


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node-rank", metavar="N", type=int, default=0, help=tr("cli.option.node_rank"))
    parser.add_argument("--rdzv", metavar="HOST:PORT", default="", help=tr("cli.option.rdzv"))


def place_this_machine(options: argparse.Namespace) -> None:
    """Tell the engine that is about to be launched which machine this is and where all meet."""
    if options.rdzv:
        os.environ[NODE_RANK], os.environ[RENDEZVOUS] = str(options.node_rank), options.rdzv


def name_here(options: argparse.Namespace, document: Document) -> str:
    """Name of the run directory on this machine: the first one's is the run's, the others' hold their own log only, one a start.

    Raises ConfigError where the machines could not agree on it.
    """
    name = options.name or document.values.run.name
    if document.values.parallel.num_nodes > 1 and not name:
        raise ConfigError("a run on several machines needs the same name on all of them; give it with --name")
    if not options.node_rank:
        return name
    stem, folder = f"{name}.node-{options.node_rank}", Path(document.values.run.output_dir)
    return next(free for number in count(1) if not (folder / (free := stem if number == 1 else f"{stem}-{number}")).exists())

"""`danlu demo`: trains the bundled demo, a real small model on the bundled set."""

import argparse

from tui.commands import train

CONFIG = "demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    train.add_start_arguments(parser)
    parser.set_defaults(config=CONFIG, nnodes=0, node_rank=0, rdzv="")


run = train.run

"""`danlu eval`: how well a run's model does on its evaluation records or on another file, beside the base if asked."""

import argparse
from contextlib import closing
from pathlib import Path

import msgspec

from engine import events
from engine.errors import RunError
from engine.run_directory import open_run
from tui import amounts, gate, output
from tui.asking import Asking
from tui.columns import columns
from tui.commands.console import RUNS_DIR
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--data", metavar="FILE", type=Path, help=tr("cli.option.eval_data"))
    parser.add_argument("--column", metavar="NAME=THEIRS", action="append", default=[], help=tr("cli.option.column"))
    parser.add_argument("--base", action="store_true", help=tr("cli.option.eval_base"))
    parser.add_argument("--checkpoint", metavar="STEP", type=int, help=tr("cli.option.checkpoint_step"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print loss, perplexity and accuracy on stdout, thinking and answer apart."""
    if options.data and not options.data.is_file():
        raise RunError(tr("cli.eval.no_file", path=gate.safe(str(options.data))))
    measured = open_run(options.runs_dir or RUNS_DIR, options.run)
    with closing(Asking(measured, options.checkpoint)) as asking:
        asking.wait_until_ready()
        data = str(options.data.resolve()) if options.data else ""
        names = ["base", "tuned"] if options.base else ["tuned"]
        found = {name: asking.evaluate(data=data, columns=options.column, base=name == "base") for name in names}
    if options.json:
        output.show_json({name: _facts(event) for name, event in found.items()})
    else:
        for line in columns([_header(), *(_row(name, event) for name, event in found.items())], right=range(1, 8)):
            output.show(line)
    return 0


def _header() -> list[str]:
    return [tr(f"cli.eval.{name}") for name in ("model", "loss", "thinking", "answer", "perplexity", "accuracy", "records", "tokens")]


def _row(name: str, event: events.Eval) -> list[str]:
    losses = [amounts.loss(value) for value in (event.loss, event.thinking_loss, event.answer_loss, event.perplexity)]
    step = tr("cli.eval.tuned", step=event.step) if name == "tuned" else tr("cli.eval.base")
    return [step, *losses, amounts.share(event.accuracy), f"{event.examples:,}", f"{event.supervised_tokens:,}"]


def _facts(event: events.Eval) -> dict[str, object]:
    facts = msgspec.structs.asdict(event)
    return {name: value for name, value in facts.items() if name not in ("seq", "time")}

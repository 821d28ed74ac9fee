"""`danlu runs`: live and past runs, newest first."""

import argparse
import time

from engine.run_directory import find_runs
from tui import amounts, output, states
from tui.columns import columns
from tui.commands.console import RUNS_DIR
from tui.gate import safe
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.summary import Summary, summarise
from tui.texts import tr

GLYPHS = {"starting": "waiting", "working": "running", "training": "running", "paused": "paused", "finished": "done", "stopped": "stopped",
          "interrupted": "stopped", "stalled": "warning"}  # fmt: skip
"""Status → member of `Glyphs`; what is not here has failed."""

FACTS = ("status", "step", "max_steps", "loss", "began", "exit_code", "error", "cause")
OF_EVALUATION = ("loss", "accuracy", "thinking_accuracy", "answer_accuracy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """List the runs of a folder on stdout."""
    folder = options.runs_dir or RUNS_DIR
    summaries = [summarise(found) for found in find_runs(folder)]
    if options.json:
        output.show_json({"runs": [_facts(summary) for summary in summaries]})
    elif summaries:
        glyphs = ASCII if options.ascii else UNICODE
        for line in columns([_header(), *(_row(summary, glyphs) for summary in summaries)], right={2, 3, 4, 5}):
            output.show(line)
    else:
        output.narrate(tr("cli.runs.none", folder=safe(str(folder))))
    return 0


def _header() -> list[str]:
    return [tr(f"cli.runs.{name}") for name in ("name", "state", "step", "loss", "eval", "accuracy", "started")]


def _row(summary: Summary, glyphs: Glyphs) -> list[str]:
    glyph = getattr(glyphs, GLYPHS.get(summary.status, "failed"))
    steps = f"{summary.step}/{summary.max_steps}" if summary.max_steps else amounts.UNKNOWN
    last = summary.last_eval
    figures = [amounts.loss(summary.loss), amounts.loss(last.loss if last else None), amounts.share(last.accuracy if last else None)]
    state = f"{glyph} {states.word(summary.status)}"
    if cause := states.cause_word(summary.cause):
        state = tr("cli.runs.died_of", state=state, cause=cause)
    return [safe(summary.run.name), state, steps, *figures, amounts.age(time.time() - summary.began)]


def _facts(summary: Summary) -> dict[str, object]:
    facts = {name: getattr(summary, name) for name in FACTS}
    facts |= {f"eval_{name}": getattr(summary.last_eval, name, None) for name in OF_EVALUATION}
    return {"name": summary.run.name, "path": str(summary.run.path), "live": summary.is_alive, "can_resume": summary.can_resume} | facts

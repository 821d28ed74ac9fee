"""`danlu doctor`: what works on this machine, what does not, and the cure."""

import argparse
from collections.abc import Iterable

from engine.check import CURES, Check
from engine.doctor import run_checks
from tui import output
from tui.columns import terminal_width, wrap
from tui.commands.console import RUNS_DIR
from tui.gate import cells, pad, safe
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--measure", action="store_true", help=tr("cli.option.measure"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print every check; 1 when one fails without which nothing can be trained."""
    if not options.json:
        output.narrate(tr("doctor.looking"))
    checks = run_checks(options.runs_dir or RUNS_DIR, measure=options.measure)
    if options.json:
        output.show_json({"checks": [check.facts() for check in checks]})
    else:
        for line in _report(checks, ASCII if options.ascii else UNICODE):
            output.show(line)
    return int(any(_state(check) == "failed" for check in checks))


def _report(checks: list[Check], glyphs: Glyphs) -> list[str]:
    """A line a check, its cure below it, and how it looks on the whole."""
    names = [f"{getattr(glyphs, _state(check))} {tr(f'doctor.name.{check.name}')}" for check in checks]
    width = max(map(cells, names)) + 2
    lines: list[str] = []
    for name, check in zip(names, checks, strict=True):
        found = wrap(safe(_detail(check)), terminal_width() - width)
        found += [] if check.ok else wrap(safe(tr("doctor.to_do", cure=_cure(check))), terminal_width() - width)
        lines += [pad(name, width) + found[0], *(" " * width + line for line in found[1:])]
    states = [_state(check) for check in checks]
    verdict = "broken" if "failed" in states else "advice" if "warning" in states else "fine"
    return [*lines, "", tr(f"doctor.{verdict}", failed=states.count("failed"), advice=states.count("warning"))]


def _state(check: Check) -> str:
    """done, failed, or warning where training is possible all the same; each is the name of its glyph."""
    return "done" if check.ok else "failed" if check.required else "warning"


def _detail(check: Check) -> str:
    """What was found, in the user's language; outside text in it."""
    return _joined(tr(f"doctor.found.{finding.code}", **finding.facts) for finding in check.findings)


def _cure(check: Check) -> str:
    """What to do about all of it."""
    return _joined(tr(f"doctor.cure.{finding.code}", **finding.facts) for finding in check.findings if finding.code in CURES)


def _joined(texts: Iterable[str]) -> str:
    """Each of them once."""
    return tr("doctor.between").join(dict.fromkeys(texts))

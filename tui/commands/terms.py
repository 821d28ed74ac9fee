"""`danlu terms`: the cryptography terms in a text, a file or stdin, or their coverage and co-occurrence over a data file."""

import argparse
import sys
from pathlib import Path

from data import encoding
from data.term_report import TermReport, report_terms
from data.terms import Term, find_terms
from tui import output
from tui.columns import GAP, columns, terminal_width, wrap
from tui.gate import safe
from tui.names import named
from tui.texts import tr

MOST = 15
"""So many terms and pairs are told; --json has more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT_OR_FILE", help=tr("cli.option.text"))
    parser.add_argument("--coverage", action="store_true", help=tr("cli.option.coverage"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print every term with its place, or what a data file's terms add up to."""
    return _run_coverage(options) if options.coverage else _run_places(options)


def _run_places(options: argparse.Namespace) -> int:
    found = find_terms(_read(options.text))
    if options.json:
        output.show_json({"terms": found})
    elif found:
        for line in columns([_header(), *map(_row, found)], right={0}):
            output.show(line)
        output.narrate(tr("cli.terms.total", n=len(found), different=len({term.name for term in found})))
    else:
        output.narrate(tr("cli.terms.none"))
    return 0


def _run_coverage(options: argparse.Namespace) -> int:
    from data.reading import read_file
    from tui.commands.split import data_path

    records = read_file(data_path(options.text)).records
    report = report_terms(_whole_text(record.conversation) for record in records)
    if options.json:
        output.show_json(report)
        return 0
    for line in _report_lines(report):
        output.show(line)
    return 0


def _whole_text(conversation) -> str:
    return "\n".join(text for turn in conversation.turns for text in (turn.reasoning, turn.content) if text)


def _report_lines(report: TermReport) -> list[str]:
    """Coverage by category, the most frequent terms, pairs, and the doubtful standards, each a block."""
    lines = [tr("cli.terms.records", records=report.records, with_=report.with_terms), ""]
    heads = [tr(f"cli.terms.{name}") for name in ("category", "found", "listed", "occurrences")]
    rows = [[named("categories", one.category), str(one.found), str(one.listed), str(one.occurrences)] for one in report.coverage]
    lines += columns([heads, *rows], {1, 2, 3})
    heads = [tr(f"cli.terms.{name}") for name in ("name", "in_records", "occurrences", "standard")]
    rows = [[safe(one.name), str(one.records), str(one.occurrences), one.standard] for one in report.terms[:MOST]]
    lines += ["", *columns([heads, *rows], {1, 2})]
    heads = [tr("cli.terms.pair"), "", tr("cli.terms.in_records"), tr("cli.terms.lift")]
    rows = [[safe(one.one), safe(one.other), str(one.records), f"{one.lift:.1f}"] for one in report.pairs[:MOST]]
    lines += ["", *columns([heads, *rows], {2, 3})] if rows else []
    for one in report.doubtful:
        numbers = ", ".join(map(str, one.records[:5])) + ("…" if len(one.records) > 5 else "")
        text = tr("cli.terms.doubtful", name=one.name, reason=one.reason, numbers=numbers, n=len(one.records))
        lines += ["", *wrap(safe(text), terminal_width(), GAP)]
    return lines


def _read(text_or_file: str) -> str:
    """stdin for "-", a file's text if there is such a file, else the text itself."""
    if text_or_file == "-":
        return encoding.decode(sys.stdin.buffer.read())[0]
    return encoding.decode(Path(text_or_file).read_bytes())[0] if _is_file(text_or_file) else text_or_file


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a text too long for a name, or with a zero byte in it
        return False


def _header() -> list[str]:
    return [tr(f"cli.terms.{name}") for name in ("place", "text", "name", "category", "standard")]


def _row(term: Term) -> list[str]:
    return [str(term.start), safe(term.text), term.name, named("categories", term.category), term.standard]

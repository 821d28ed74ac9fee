"""`danlu terms`: the cryptography terms in a text, a file or stdin."""

import argparse
import sys
from pathlib import Path

from data import encoding
from data.errors import DataError
from data.terms import Term, find_terms
from tui import output
from tui.columns import columns
from tui.gate import safe
from tui.texts import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT_OR_FILE", help=tr("cli.option.text"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print every term with its place."""
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


def _read(text_or_file: str) -> str:
    """stdin for "-", a file's text if there is such a file, else the text itself."""
    if text_or_file == "-":
        return _decoded(sys.stdin.buffer.read(), "stdin")
    return _decoded(Path(text_or_file).read_bytes(), text_or_file) if _is_file(text_or_file) else text_or_file


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a text too long for a name, or with a zero byte in it
        return False


def _decoded(data: bytes, name: str) -> str:
    try:
        return encoding.decode(data)[0]
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: byte {error.start} is neither UTF-8 nor GB18030; save the file as UTF-8") from None


def _header() -> list[str]:
    return [tr(f"cli.terms.{name}") for name in ("place", "text", "name", "category", "standard")]


def _row(term: Term) -> list[str]:
    return [str(term.start), safe(term.text), term.name, term.category, term.standard]

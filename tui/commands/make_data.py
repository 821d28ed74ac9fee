"""`danlu make-data`: exercises of cryptography as JSON Lines, and the grading of answers to them."""

import argparse
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from data.errors import DataError
from data.exercises.exercise import PARTS
from data.exercises.generation import FAMILIES, generate
from data.exercises.grading import grade_lines
from tui import output
from tui.columns import columns
from tui.gate import safe
from tui.texts import tr

STATES = ("right", "wrong", "unreadable")
PROGRESS_S = 2.0
LEVELS = "1-5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", metavar="N", type=int, default=1000, help=tr("cli.make_data.option_count"))
    parser.add_argument("--seed", metavar="N", type=int, default=42, help=tr("cli.make_data.option_seed"))
    parser.add_argument("--part", choices=PARTS, default="train", help=tr("cli.make_data.option_part"))
    parser.add_argument("--families", metavar="A,B", default="", help=tr("cli.make_data.option_families", families=", ".join(FAMILIES)))
    parser.add_argument("--levels", metavar="LEVELS", default=LEVELS, help=tr("cli.make_data.option_levels"))
    parser.add_argument("--out", metavar="FILE", type=Path, help=tr("cli.make_data.option_out"))
    parser.add_argument("--grade", metavar="FILE", type=Path, help=tr("cli.make_data.option_grade"))


def run(options: argparse.Namespace) -> int:
    """Write exercises or, with --grade, verdicts, a line each, to stdout or --out; narrate to stderr."""
    return _grade(options) if options.grade else _make(options)


def _make(options: argparse.Namespace) -> int:
    families = [name.strip() for name in options.families.split(",") if name.strip()] or list(FAMILIES)
    if options.count < 1:
        raise DataError(f"--count {options.count}: give a number from 1 on")
    exercises = generate(options.count, options.seed, options.part, families, _levels(options.levels))
    with _lines_to(options.out) as write:
        for exercise in _with_progress(exercises, options.count):
            write(msgspec.json.encode(exercise))
    output.narrate(tr("cli.make_data.done", count=f"{options.count:,}", families=len(families), part=options.part))
    _tell_where(options.out)
    return 0


def _with_progress(exercises: Iterable, count: int) -> Iterator:
    told = time.monotonic()
    for made, exercise in enumerate(exercises, 1):
        yield exercise
        if time.monotonic() - told > PROGRESS_S:
            told = time.monotonic()
            output.narrate(tr("cli.make_data.progress", made=f"{made:,}", count=f"{count:,}"))


def _levels(text: str) -> list[int]:
    """1-3 and 1,4 as numbers. Raises DataError for anything else; which levels there are the generator checks."""
    levels: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.strip().partition("-")
        if not (low.isdecimal() and (high or low).isdecimal() and len(low + high) <= 4):
            raise DataError(f"--levels {text}: give levels such as 2, 1-3 or 1,4; they go from 1 to 5")
        levels += range(int(low), int(high or low) + 1)
    if not levels:
        raise DataError(f"--levels {text}: the range is empty; write the lower level first, for example {LEVELS}")
    return list(dict.fromkeys(levels))


def _grade(options: argparse.Namespace) -> int:
    counts: defaultdict[str, Counter] = defaultdict(Counter)
    with _opened(options.grade) as file, _lines_to(options.out) as write:
        for graded in grade_lines(file, str(options.grade)):
            counts[graded.family][graded.state] += 1
            write(msgspec.json.encode(graded))
    if not counts:
        raise DataError(f"{options.grade}: has no exercises; make some with `danlu make-data --out FILE`")
    for line in columns(_table(counts), right=set(range(1, len(STATES) + 3))):
        output.narrate(line)
    _tell_where(options.out)
    return 0


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"--grade {path}: {error.strerror or error}; name a file of exercises with answers") from error


def _table(counts: dict[str, Counter]) -> list[list[str]]:
    """A line a family and one for all."""
    header = [tr(f"cli.make_data.{name}") for name in ("family", "answers", *STATES, "share")]
    rows = [_row(safe(family), counted) for family, counted in sorted(counts.items())]
    return [header, *rows, _row(tr("cli.make_data.all"), sum(counts.values(), Counter()))]


def _row(name: str, counted: Counter) -> list[str]:
    answers = counted.total()
    return [name, str(answers), *(str(counted[state]) for state in STATES), f"{100 * counted['right'] / answers:.1f}"]


@contextmanager
def _lines_to(path: Path | None):
    """A function that writes one line; a file appears under its name only when it is whole."""
    if path is None:
        yield lambda line: output.show(line.decode())
        return
    if path.exists():
        raise DataError(f"{path}: is there already; choose another --out, or delete it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield _writer(file)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _writer(file: IO[bytes]):
    return lambda line: file.write(line + b"\n")


def _tell_where(path: Path | None) -> None:
    if path is not None:
        output.narrate(tr("cli.make_data.written", path=safe(str(path))))

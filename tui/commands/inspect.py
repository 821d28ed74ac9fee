"""`danlu inspect`: a report on a data file: what is usable, what is wrong, what repeats, how long it is."""

import argparse
from collections import Counter

import msgspec

from data.inspection import Inspection, ProblemCount, inspect
from data.reading import open_file, read_file
from data.words import count_words
from engine.config import Model
from tui import output
from tui.columns import GAP, columns, terminal_width, wrap
from tui.commands.split import add_format, data_path
from tui.faults import coded
from tui.gate import cells, pad, safe
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.names import named
from tui.progress_line import ProgressLine
from tui.texts import tr

MOST = 12
"""So many of the most frequent values are told."""
MOST_WORDS = 40
EXAMPLES = 8
"""So many record numbers are told of each problem; --json has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=tr("cli.option.data"))
    parser.add_argument("--model", metavar="MODEL", default="", help=tr("cli.option.model"))
    parser.add_argument("--against", metavar="EVAL", default="", help=tr("cli.option.against"))
    parser.add_argument("--words", action="store_true", help=tr("cli.option.words"))
    add_format(parser)
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print the report; a file with faulty records is reported, not refused."""
    dataset = open_file(data_path(options.data), options.format, columns=options.column)
    evaluation = read_file(data_path(options.against)) if options.against else None
    line = ProgressLine()

    def tell(stage: str, done: int, total: int) -> None:
        line.tell(done, total, tr(f"cli.inspect.stage_{stage}"))

    try:
        report = inspect(dataset, _tokenizer(options.model), tell, evaluation=evaluation)
        words = count_words(record.conversation.text() for record in dataset.records) if options.words else None
    finally:
        line.close()
    if options.json:
        output.show_json(msgspec.to_builtins(report) | ({} if words is None else {"words": words.most_common(MOST_WORDS)}))
        return 0
    for line in [*_report(report, ASCII if options.ascii else UNICODE), *_words(words)]:
        output.show(line)
    if report.tokens is None:
        output.narrate(tr("cli.inspect.no_tokens"))
    return 0


def _tokenizer(model: str):
    """The tokenizer of `model` from what is on this machine, None when no model is named."""
    if not model:
        return None
    from tui.screens.data_tokenizer import tokenizer_of

    return tokenizer_of(Model(name=model))


def _report(report: Inspection, glyphs: Glyphs) -> list[str]:
    """Facts, tokens by part, problems, and what the records are about, each a block of its own."""
    blocks = [_facts(report), _tokens(report), _problems(report, glyphs), _contents(report)]
    return [line for block in blocks if block for line in ["", *block]][1:]


def _facts(report: Inspection) -> list[str]:
    thinking, near, exact = report.thinking, report.near_duplicate_records, report.duplicates.exact
    nearly = [members for members in report.duplicates.near if members not in exact]
    return columns([
        [tr("cli.inspect.file"), safe(report.path)],
        [tr("cli.inspect.format"), f"{report.format}, {report.encoding}"],
        [tr("cli.inspect.records"), tr("cli.inspect.usable", records=report.usable, invalid=report.invalid)],
        [tr("cli.inspect.thinking"),
         tr("cli.inspect.thinking_counts", with_=thinking.with_, share=f"{100 * thinking.share:.0f}", without=thinking.without,
            faulty=thinking.faulty)],
        [tr("cli.inspect.duplicates"),
         tr("cli.inspect.duplicate_counts", exact=report.exact_duplicates, near=near, groups=report.near_duplicate_groups)],
        *([tr(f"cli.inspect.{kind}"), _groups(found)] for kind, found in (("exact", exact), ("near", nearly)) if found),
    ])  # fmt: skip


def _groups(groups: list[list[int]]) -> str:
    """The first groups of records alike, by their numbers: 3 = 17 = 20, 4 = 9…"""
    shown = [" = ".join(map(str, members[:EXAMPLES])) + ("…" if len(members) > EXAMPLES else "") for members in groups[:EXAMPLES]]
    return ", ".join(shown) + ("…" if len(groups) > EXAMPLES else "")


def _tokens(report: Inspection) -> list[str]:
    if report.tokens is None:
        return []
    rows = [[tr("cli.inspect.tokens"), "p50", "p95", "p99", "max"]]
    for part, found in report.tokens.items():
        rows.append([tr(f"cli.inspect.{part}"), *(f"{value:,}" for value in (found.p50, found.p95, found.p99, found.max))])
    return columns(rows, right={1, 2, 3, 4})


def _problems(report: Inspection, glyphs: Glyphs) -> list[str]:
    if not report.problems:
        return [f"{glyphs.done} {tr('cli.inspect.no_problems')}"]
    lines = [tr("cli.inspect.problems")]
    heads = columns([_problem(code, found, glyphs) for code, found in report.problems.items()], right={1})
    for head, (code, found) in zip(heads, report.problems.items(), strict=True):
        lines += [head, *(GAP + line for line in wrap(coded(code, found.text), terminal_width() - len(GAP)))]
    return lines


def _problem(code: str, found: ProblemCount, glyphs: Glyphs) -> list[str]:
    sign, fate = (glyphs.warning, "kept") if found.is_usable else (glyphs.failed, "unusable")
    return [f"{sign} {code}", str(found.count), tr(f"cli.inspect.{fate}"), _where(found)]


def _where(found: ProblemCount) -> str:
    """The first records behind a problem by their numbers; lines for those that have none, because they cannot be used."""
    if found.records:
        shown = ", ".join(map(str, found.records[:EXAMPLES])) + ("…" if len(found.records) > EXAMPLES else "")
        return tr("cli.inspect.numbers", numbers=shown, n=len(found.records))
    shown = ", ".join(map(str, found.lines)) + ("…" if found.count > len(found.lines) else "")
    return tr("cli.inspect.lines", lines=shown, n=found.count)


def _contents(report: Inspection) -> list[str]:
    kinds = {"language": "languages", "script": "scripts", "difficulty": "", "category": "", "terms": ""}
    counted = {
        tr(f"cli.inspect.{name}"): {named(kind, value): count for value, count in counts.items()}
        for name, kind in kinds.items()
        if (counts := getattr(report, name))
    }
    width = max(map(cells, counted), default=0)
    lines: list[str] = []
    for name, counts in counted.items():
        told = ", ".join(f"{value} {count}" for value, count in list(counts.items())[:MOST]) + (", …" if len(counts) > MOST else "")
        lines += wrap(f"{pad(name, width)}{GAP}{told}", terminal_width(), " " * width + GAP)
    return lines


def _words(words: Counter[str] | None) -> list[str]:
    """How many words there are, how many different ones, and those said most, single characters and letters apart."""
    if words is None:
        return []
    most = [f"{safe(word)} {count}" for word, count in words.most_common(4 * MOST_WORDS) if len(word) > 1][:MOST_WORDS]
    head = tr("cli.inspect.word_counts", words=f"{words.total():,}", different=f"{len(words):,}")
    return ["", *wrap(f"{head}{GAP}{', '.join(most)}", terminal_width(), GAP)]

"""A data file read and looked into, step by step, in whatever thread calls it; every finding is told as soon as it is there.

The caller's `tell` may raise to stop. What was found out about the same content before is not looked for again (`data.findings`).
No widgets.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.errors import DanluError
from data.examples import ExampleSettings
from data.findings import Survey, survey
from data.inspection import contamination_remarks
from data.lengths import settings_to_count
from data.proof import prove
from data.reading import open_file, read_file
from data.splitting import split
from engine.config import Config
from tui.screens.data_table import RecordTable
from tui.screens.data_tokenizer import tokenizer_of

PIECE_S = 0.1
"""Seconds of reading between two looks at what was read."""
SCANNED = 2_000
"""Records made searchable between two chances to stop."""
PROVED_RECORDS = 20_000
"""Up to so many records the split is proved to leak nothing; it takes seconds."""


@dataclass(frozen=True)
class Stage:
    """What is being done: read, search, records, texts, duplicates, proof or contamination; total 0 = unknown."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Opened:
    """The first records are there; the rest follows."""

    table: RecordTable


@dataclass(frozen=True)
class NoTokenizer:
    """Why there are no token counts, and the cure."""

    reason: str


@dataclass(frozen=True)
class Finished:
    """The table holds all there is."""


Update = Stage | Opened | NoTokenizer | Finished
Tell = Callable[[Update], None]


def load_file(path: Path, config: Config, evaluation: Path | None, tell: Tell) -> None:
    """Read `path` and look into it as `config` would train on it. evaluation: a file whose questions it should not hold.

    Raises DataError for an unusable file.
    """
    tell(Stage("read"))
    data = config.data
    dataset = open_file(path, data.format, limit=data.limit, columns=data.columns)
    table = RecordTable(dataset, example_settings(config), data.max_seq_length, data.over_length)
    if dataset.is_complete:
        dataset.index()
    table.scan(SCANNED)
    tell(Opened(table))
    _read_on(table, tell)
    found = _look(table, config, tell)
    table.set_groups(found.groups)
    fraction = 0.0 if evaluation else data.eval_fraction
    ratios = {"train": 1 - fraction, "eval": fraction}
    table.split = split(dataset.records, ratios, config.train.seed, table.groups.tolist())
    table.set_texts(found.texts)
    if len(table) <= PROVED_RECORDS:
        table.proof = prove(table.split, dataset.records, lambda done, total: tell(Stage("proof", done, total)))
    if evaluation and not (evaluation.exists() and evaluation.samefile(path)):
        other = read_file(evaluation, data.format, columns=data.columns)
        table.add_remarks(contamination_remarks(dataset, other, lambda done, total: tell(Stage("contamination", done, total))))
    tell(Finished())


def example_settings(config: Config) -> ExampleSettings:
    """How examples are built to be looked at: as configured, but none is dropped."""
    data = config.data
    return settings_to_count(ExampleSettings(data.max_seq_length, data.over_length, data.missing_thinking, data.system))


def _read_on(table: RecordTable, tell: Tell) -> None:
    """The rest of the file, records listed and searchable as they come. Raises DataError for a file without one usable record."""
    dataset = table.dataset
    while not dataset.is_complete:
        until = time.monotonic() + PIECE_S
        dataset.index_some(lambda until=until: time.monotonic() > until)
        table.scan(SCANNED)
        tell(Stage("read", *dataset.progress))
    dataset.index()
    while len(table.index) < len(table):
        table.scan(SCANNED)
        tell(Stage("search", len(table.index), len(table)))


def _look(table: RecordTable, config: Config, tell: Tell) -> Survey:
    """What is found in the records; without token lengths where the model's tokenizer cannot be used."""
    progress = lambda stage, done, total: tell(Stage(stage, done, total))  # noqa: E731
    progress("records", 0, len(table))
    try:
        table.tokenizer = tokenizer_of(config.model)
        found = survey(table.dataset, table.tokenizer, table.settings, progress)
    except DanluError as error:
        tell(NoTokenizer(str(error)))
        return survey(table.dataset, progress=progress)
    assert found.lengths is not None
    table.set_lengths(found.lengths.columns)
    return found

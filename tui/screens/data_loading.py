"""A data file read and looked into, step by step, in whatever thread calls it; every finding is told as soon as it is there.

The caller's `tell` may raise to stop. No widgets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.errors import DanluError
from data.examples import ExampleSettings
from data.inspection import look_at_texts
from data.lengths import count_lengths, settings_to_count
from data.reading import read_file
from data.splitting import split
from data.tokenizer import Tokenizer
from engine import config_file
from engine.config import Config
from tui.screens.data_table import RecordTable
from tui.screens.data_tokenizer import tokenizer_of


@dataclass(frozen=True)
class Stage:
    """What is being done: read, tokens, duplicates or texts; total 0 = unknown."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Opened:
    """The records are there; the rest follows."""

    table: RecordTable


@dataclass(frozen=True)
class TokenizerFound:
    """Tokens are counted with this one."""

    tokenizer: Tokenizer


@dataclass(frozen=True)
class NoTokenizer:
    """Why there are no token counts, and the cure."""

    reason: str


@dataclass(frozen=True)
class Finished:
    """The table holds all there is."""


Update = Stage | Opened | TokenizerFound | NoTokenizer | Finished
Tell = Callable[[Update], None]


def load_file(path: Path, config: Config, tell: Tell) -> None:
    """Read `path` and look into it as `config` would train on it. Raises DataError for an unusable file."""
    tell(Stage("read"))
    dataset = read_file(path, config.data.format, limit=config.data.limit)
    table = RecordTable(dataset, example_settings(config), config.data.max_seq_length, config.data.over_length)
    tell(Opened(table))
    table.index_for_search()
    _count_tokens(table, config, tell)
    ratios = {"train": 1 - config.data.eval_fraction, "eval": config.data.eval_fraction}
    tell(Stage("duplicates", 0, len(table)))
    table.set_split(split(table.dataset.records, ratios, config.train.seed, progress=lambda d, n: tell(Stage("duplicates", d, n))))
    table.set_texts(look_at_texts(table.dataset.records, lambda done, total: tell(Stage("texts", done, total))))
    tell(Finished())


def example_settings(config: Config) -> ExampleSettings:
    """How examples are built to be looked at: as configured, but none is dropped."""
    data = config.data
    return settings_to_count(ExampleSettings(data.max_seq_length, data.over_length, data.missing_thinking, data.system))


def configured_path(config: Config, document_path: Path | None) -> Path | None:
    """The training data file of a configuration; relative to its file, else to the current folder."""
    if not config.data.path:
        return None
    places = [document_path.parent, Path.cwd()] if document_path else [Path.cwd()]
    found = [Path(config_file.resolve(config, place).data.path) for place in places]
    return next((path for path in found if path.exists()), found[0])


def _count_tokens(table: RecordTable, config: Config, tell: Tell) -> None:
    tell(Stage("tokens", 0, len(table)))
    try:
        tokenizer = tokenizer_of(config.model)
    except DanluError as error:
        tell(NoTokenizer(str(error)))
        return
    tell(TokenizerFound(tokenizer))
    try:
        lengths = count_lengths(table.dataset.records, tokenizer, table.settings, lambda done, total: tell(Stage("tokens", done, total)))
    except DanluError as error:
        tell(NoTokenizer(str(error)))
        return
    table.set_lengths(lengths)

"""A data file read and looked into, step by step, in whatever thread calls it; every finding is told as soon as it is there.

The caller's `tell` may raise to stop. No widgets.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.errors import DanluError
from data.examples import ANSWER, THINKING, Example, ExampleBuilder, ExampleSettings
from data.reading import read_file
from data.splitting import split
from data.tokenizer import Tokenizer
from engine import config_file
from engine.config import Config
from tui.screens.data_table import Lengths, RecordTable
from tui.screens.data_tokenizer import tokenizer_of

LONGEST = 1 << 40
"""No example is longer: inspection counts all tokens and leaves the cut-off to the screen."""


@dataclass(frozen=True)
class Stage:
    """What is being done: read, tokens, duplicates or terms; total 0 = unknown."""

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
    _count_tokens(table, config, tell)
    ratios = {"train": 1 - config.data.eval_fraction, "eval": config.data.eval_fraction}
    tell(Stage("duplicates", 0, len(table)))
    parts = split(dataset.records, ratios, config.train.seed, progress=lambda done, total: tell(Stage("duplicates", done, total)))
    table.set_split(parts)
    table.index_for_search()
    _count_terms(table, tell)
    tell(Finished())


def example_settings(config: Config) -> ExampleSettings:
    """How examples are built to be looked at: as configured, but none is dropped."""
    missing = "mask" if config.data.missing_thinking == "drop" else config.data.missing_thinking
    return ExampleSettings(LONGEST, "drop", missing, config.data.system)


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
    lengths: list[Lengths] = []
    builder = ExampleBuilder(tokenizer, table.settings)
    try:
        for examples in builder.build((record.index, record.conversation) for record in table.dataset.records):
            lengths += map(_lengths, examples)
            tell(Stage("tokens", lengths[-1].record + 1 if lengths else 0, len(table)))
    except DanluError as error:
        tell(NoTokenizer(str(error)))
        return
    table.set_lengths(lengths)


def _lengths(example: Example) -> Lengths:
    thinking, answer = example.parts.count(THINKING), example.parts.count(ANSWER)
    return Lengths(example.record, len(example.ids) - thinking - answer, thinking, answer)


def _count_terms(table: RecordTable, tell: Tell) -> None:
    """In how many records each cryptography term occurs."""
    from data.terms import find_terms

    found: Counter[tuple[str, str]] = Counter()
    for number, record in enumerate(table.dataset.records):
        if number % 256 == 0:
            tell(Stage("terms", number, len(table)))
        texts = [text for turn in record.conversation.turns for text in (turn.content, turn.reasoning or "")]
        found.update({(term.name, term.category) for text in texts for term in find_terms(text)})
    table.terms = found

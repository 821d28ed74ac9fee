"""What follows from a configuration here: how much data, how many steps, how much memory. Runs in a worker; no widgets.

The reader, the tokenizer and numpy are imported there too: half a second of work that no key has to wait for.
Nothing is fetched. What cannot be known before the engine has read everything is left None, and an estimate says that it is one.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from data.errors import DanluError
from engine.config import Config
from engine.config_file import Document
from engine.plan import RunPlan
from tui.texts import tr

if TYPE_CHECKING:
    from data.reading import Dataset

READ_WHOLE_BYTES = 64 << 20
"""A larger data file is not read while a form is open; the Data screen does that."""
SAMPLED = 200
"""Records tokenised for an estimate: the mean length is then known to some percent."""


@dataclass(frozen=True)
class DataFacts:
    """path as shown.  records: None when the file was not read.  problem: why nothing more is known, "" or one sentence.
    examples, tokens, rows: of one training epoch, estimated from a sample; None without a tokenizer.  dropped: share left out."""

    path: str
    records: int | None = None
    examples: float | None = None
    tokens: float | None = None
    rows: float | None = None
    dropped: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Facts:
    """plan_problem: why there is no forecast, one sentence."""

    data: DataFacts
    plan: RunPlan | None = None
    plan_problem: str = ""


class FactFinder:
    """Remembers what was read, so that a change of the learning rate reads nothing again."""

    def __init__(self) -> None:
        self._datasets: dict[tuple, Dataset] = {}
        self._measured: dict[tuple, DataFacts] = {}
        self._rate: float | None = None

    def find(self, document: Document) -> Facts:
        """Everything that follows from `document` on this machine."""
        from tui.start import resolved

        found = DataFacts(document.values.data.path)
        try:
            config = resolved(document)
            found = self._data(config)
            return Facts(found, self._plan(config, None if found.tokens is None else round(found.tokens)))
        except (DanluError, OSError, ValueError) as error:
            return Facts(found, None, str(error))

    def epoch_tokens(self, document: Document) -> int | None:
        """Real tokens of one epoch; None where the data or the model's tokenizer is not here."""
        from tui.start import resolved

        try:
            tokens = self._data(resolved(document)).tokens
        except (DanluError, OSError, ValueError):
            return None
        return None if tokens is None else round(tokens)

    def _plan(self, config: Config, tokens: int | None) -> RunPlan:
        from engine.errors import ModelError
        from engine.hardware import detect, with_rate
        from engine.host import measure_gemm
        from engine.model_shape import ModelShape
        from engine.model_source import config_of
        from engine.plan import make_plan

        model = config_of(config.model)
        if model is None:
            name = config.model.name
            raise ModelError(tr("config.no_model" if os.path.isabs(name) else "hardware.unknown_model", name=name))
        self._rate = self._rate or measure_gemm()
        return make_plan(config, ModelShape.from_config(model), with_rate(detect(Path(config.run.output_dir)), self._rate), tokens)

    def _data(self, config: Config) -> DataFacts:
        data = config.data
        if not data.path:
            return DataFacts("")
        try:
            file = Path(data.path).stat()
            if file.st_size > READ_WHOLE_BYTES:
                return DataFacts(data.path)
            place = (data.path, file.st_size, file.st_mtime_ns, data.format, data.strict, data.limit, tuple(data.columns))
            key = (place, msgspec.json.encode((config.model, data, config.train.seed)))
            if key not in self._measured:
                self._measured[key] = _measure(config, self._dataset(place))
            return self._measured[key]
        except OSError as error:
            return DataFacts(data.path, problem=f"{data.path}: {error.strerror}; check data.path")
        except (DanluError, ValueError) as error:
            return DataFacts(data.path, problem=str(error))

    def _dataset(self, place: tuple) -> "Dataset":
        """The file's records; one file is kept at a time."""
        from data.reading import read_file

        if place not in self._datasets:
            path, _, _, layout, strict, limit, columns = place
            self._datasets = {place: read_file(path, layout, strict, limit, columns)}
        return self._datasets[place]


def optimiser_steps(config: Config, facts: DataFacts) -> int | None:
    """Steps of the run: exact when max_steps decides, else estimated from the data, None when nothing is known."""
    if config.train.max_steps is not None:
        return config.train.max_steps
    if facts.rows is None:
        return None
    in_an_epoch = math.ceil(facts.rows / rows_in_a_step(config))
    return max(1, math.ceil(in_an_epoch * config.train.num_epochs))


def rows_in_a_step(config: Config) -> int:
    """The effective batch, in rows."""
    return config.train.batch_size * config.train.gradient_accumulation_steps


def _measure(config: Config, dataset: "Dataset") -> DataFacts:
    """Means over records taken evenly from the whole file, times what goes into training."""
    from data.examples import ExampleBuilder, ExampleSettings
    from data.packing import pack
    from tui.screens.data_tokenizer import tokenizer_of

    data, records = config.data, dataset.records
    try:
        tokenizer = tokenizer_of(config.model)
    except DanluError as error:
        return DataFacts(data.path, len(records), problem=str(error))
    chosen = records[:: max(1, len(records) // SAMPLED)]
    over_length = "drop" if data.over_length == "fail" else data.over_length
    builder = ExampleBuilder(tokenizer, ExampleSettings(data.max_seq_length, over_length, data.missing_thinking, data.system))
    lengths = [len(example.ids) for made in builder.build((r.index, r.conversation) for r in chosen) for example in made]
    dropped = builder.counts["over_length"] / max(1, len(lengths) + builder.counts["over_length"])
    scale = len(records) / len(chosen) * (1.0 if data.eval_path else 1.0 - data.eval_fraction)
    rows = len(pack(lengths, range(len(lengths)), data.max_seq_length)) if data.packing else len(lengths)
    return DataFacts(data.path, len(records), len(lengths) * scale, sum(lengths) * scale, rows * scale, dropped)

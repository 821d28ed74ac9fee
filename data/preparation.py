"""A data file made ready for training: read, split without leaks, turned into examples, with everything odd said aloud.

Decides nothing about models or batches; what it needs of a configuration is `PreparationSettings`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from data.cache import cache_key
from data.conversation import Conversation
from data.counted import counted
from data.errors import DataError
from data.example_store import ExampleStore, open_or_write
from data.examples import Example, ExampleBuilder, ExampleSettings
from data.findings import groups_of
from data.near_duplicates import near_duplicate_groups
from data.proof import split_with_proof
from data.reading import Dataset, Record, open_file
from data.record import ChainedTexts, RecordTexts
from data.splitting import Split, split
from data.tokenizer import Tokenizer

ENOUGH_THINKING = 0.75
"""Under this share of records with reasoning a thinking model starts to lose the habit."""

PROVED_RECORDS = 20_000
"""Up to so many records a run proves its split before it starts; it takes seconds."""

Progress = Callable[[str, int, int], None]


class PreparationSettings(Struct, frozen=True):
    """The keys of section [data] that decide what is trained on; names and meaning as there."""

    path: str
    eval_path: str = ""
    eval_fraction: float = 0.05
    format: str = "auto"
    max_seq_length: int = 1024
    over_length: Literal["drop", "truncate_thinking", "fail"] = "drop"
    missing_thinking: Literal["mask", "drop", "keep"] = "mask"
    strict: bool = False
    system: str = ""
    limit: int | None = None
    columns: Sequence[str] = ()


def settings_of(section: Struct) -> PreparationSettings:
    """Of a [data] section, which holds more keys."""
    names = {field.name for field in structs.fields(PreparationSettings)}
    return PreparationSettings(**{name: value for name, value in structs.asdict(section).items() if name in names})


@dataclass
class Prepared:
    """Examples of both sets and what became of the records.

    train, eval: on disk, each example made when asked for.  eval_indices: records of the evaluation, of its own file if it has one.
    counts: as `ExampleBuilder.counts`, over both sets.  remarks: (code, sentence) of what the user should know.
    fingerprint: sha256 of all ids and parts and of the tokenizer.  leaks: evaluation records of a file of their own that are
    near duplicates of training records.
    """

    train: ExampleStore
    eval: ExampleStore
    eval_indices: Sequence[int]
    dataset: Dataset
    split: Split
    counts: Counter[str]
    system: str
    fingerprint: str
    eval_dataset: Dataset | None = None
    leaks: int = 0
    remarks: list[tuple[str, str]] = field(default_factory=list)

    @property
    def eval_records(self) -> Iterable[Record]:
        records = (self.eval_dataset or self.dataset).records
        return (records[index] for index in self.eval_indices)

    @property
    def format(self) -> str:
        return self.dataset.format

    @property
    def records(self) -> int:
        """Usable records of the training file."""
        return len(self.dataset.records)

    @property
    def invalid(self) -> int:
        return self.dataset.invalid + (self.eval_dataset.invalid if self.eval_dataset else 0)

    @property
    def dropped_over_length(self) -> int:
        return self.counts["over_length"]

    @property
    def with_thinking(self) -> int:
        return self.dataset.records.facts.with_thinking()

    @property
    def without_thinking(self) -> int:
        return self.records - self.with_thinking

    def prompts(self, count: int) -> list[Conversation]:
        """The first `count` different questions of the evaluation records (of the training ones if there are none), unanswered."""
        found: dict[str, Conversation] = {}
        for record in self.eval_records if self.eval_indices else self.dataset.records:
            if len(found) >= count:
                break
            conversation = record.conversation
            asked = conversation.before(conversation.assistant_turns()[-1]).with_system(self.system)
            if asked.turns[-1].role == "user":
                found.setdefault(asked.text(), asked)
        return list(found.values())

    def write_split(self, path: Path) -> None:
        """Write which record is in which part. Raises OSError."""
        self.split.write(path)


def prepare(settings: PreparationSettings, tokenizer: Tokenizer, seed: int, progress: Progress) -> Prepared:
    """Examples for training and evaluation.

    progress: called with a phase's name (read, group, train, eval), records done and records in all; bytes while reading.
    Raises DataError for an unusable file and when nothing is left to train on, TemplateError for an unusable template.
    """
    dataset = _read(settings, settings.path, progress)
    eval_dataset = _read(settings, settings.eval_path, progress) if settings.eval_path else None
    parts, leaks = _split(dataset, eval_dataset, settings, seed, progress)
    everything = _examples(dataset, settings, tokenizer, lambda done, total: progress("train", done, total))
    train, counts = everything.select(parts.indices("train")), everything.counts
    if not train:
        raise _nothing_left(settings, parts.counts["train"], counts)
    if eval_dataset:
        eval_indices: Sequence[int] = range(len(eval_dataset.records))
        evaluation = _examples(eval_dataset, settings, tokenizer, lambda done, total: progress("eval", done, total))
        counts = counts + evaluation.counts
    else:
        eval_indices = parts.indices("eval")
        evaluation = everything.select(eval_indices)
    fingerprint = _fingerprint(train, evaluation, tokenizer)
    prepared = Prepared(train, evaluation, eval_indices, dataset, parts, counts, settings.system, fingerprint, eval_dataset, leaks)
    prepared.remarks = list(_remarks(prepared, settings, tokenizer))
    return prepared


def _read(settings: PreparationSettings, path: str, progress: Progress) -> Dataset:
    dataset = open_file(Path(path), settings.format, settings.strict, settings.limit, settings.columns)
    dataset.index(lambda done, total: progress("read", done, total))
    return dataset


def _split(
    dataset: Dataset, eval_dataset: Dataset | None, settings: PreparationSettings, seed: int, progress: Progress
) -> tuple[Split, int]:
    """The split, and how many records of a separate evaluation file are near duplicates of training records."""

    def tell(done: int, total: int) -> None:
        progress("group", done, total)

    count = len(dataset.records)
    if eval_dataset is None and settings.eval_fraction > 0:
        ratios = {"train": 1 - settings.eval_fraction, "eval": settings.eval_fraction}
        make = split_with_proof if count <= PROVED_RECORDS else split
        made = make(dataset.records, ratios, seed, groups_of(dataset, tell))
        tell(count, count)
        return made, 0
    other = eval_dataset.records if eval_dataset else []
    texts = ChainedTexts(RecordTexts(dataset.records), RecordTexts(other))
    groups = near_duplicate_groups(texts, tell) if other else list(range(count))
    training = set(groups[:count])
    leaks = sum(group in training for group in groups[count:])
    return Split(["train"] * count, groups[:count], {"train": count}, {"train": 1.0}, seed, dataset.records.facts.digests), leaks


def _examples(
    dataset: Dataset, settings: PreparationSettings, tokenizer: Tokenizer, progress: Callable[[int, int], None]
) -> ExampleStore:
    """The examples of all records of a file, from the cache where the same were made before."""
    limits = ExampleSettings(settings.max_seq_length, settings.over_length, settings.missing_thinking, settings.system)
    records = dataset.records

    def write(add: Callable[[Iterable[Example]], None]) -> Counter[str]:
        builder = ExampleBuilder(tokenizer, limits, lambda index: f"{dataset.path}:{records.line(index)}")
        progress(0, len(records))
        for batch in builder.build((record.index, record.conversation) for record in records):
            add(batch)
            if batch:
                progress(batch[-1].record + 1, len(records))
        return builder.counts

    store = open_or_write(cache_key("examples", dataset.identity, tokenizer.fingerprint, limits), write)
    progress(len(records), len(records))
    return store


def _nothing_left(settings: PreparationSettings, records: int, counts: Counter[str]) -> DataError:
    reasons = []
    if not records:
        reasons.append("all records went to evaluation: lower data.eval_fraction or add records")
    if counts["over_length"]:
        limit = f"data.max_seq_length = {settings.max_seq_length}"
        other = "" if settings.over_length == "truncate_thinking" else ", or set data.over_length = 'truncate_thinking'"
        reasons.append(f"{counts['over_length']} are longer than {limit}: raise it{other}")
    if counts["without_thinking"]:
        reasons.append(f"{counts['without_thinking']} have no reasoning: set data.missing_thinking = 'mask'")
    return DataError(f"{settings.path}: no example is left to train on; {'; '.join(reasons)}")


def _remarks(prepared: Prepared, settings: PreparationSettings, tokenizer: Tokenizer) -> Iterable[tuple[str, str]]:
    """What a careful user would want to hear before the first step."""
    counts, records = prepared.counts, prepared.records
    if prepared.invalid:
        path, first = next((d.path, d.faults[0]) for d in (prepared.dataset, prepared.eval_dataset) if d is not None and d.faults)
        lost = counted(prepared.invalid, "record cannot be used and is left out", "records cannot be used and are left out")
        yield "invalid_records", f"{lost}; the first, {path}:{first.line}: {first.text}"
    if prepared.with_thinking < ENOUGH_THINKING * records:
        share = 100 * prepared.with_thinking / records
        yield "little_thinking", f"only {share:.0f} % of the records show reasoning; under 75 % the model may unlearn to think"
    if counts["over_length"]:
        too_long = counted(counts["over_length"], "example is", "examples are")
        yield "over_length", f"{too_long} longer than {settings.max_seq_length} tokens and dropped"
    if counts["truncated"]:
        cut = counted(counts["truncated"], "example", "examples")
        yield "truncated", f"the reasoning of {cut} is cut to fit {settings.max_seq_length} tokens; answers are whole"
    if counts["without_thinking"]:
        without = counted(counts["without_thinking"], "example without reasoning is dropped", "examples without reasoning are dropped")
        yield "dropped_without_thinking", without
    if counts["control_tokens"]:
        holding = counted(counts["control_tokens"], "record holds", "records hold")
        yield "control_tokens", f"{holding} control tokens in the text; they are encoded as plain text"
    if doubles := prepared.dataset.records.facts.exact_duplicates():
        repeating = counted(doubles, "record repeats an earlier one", "records repeat earlier ones")
        yield "exact_duplicates", f"{repeating} exactly; what is repeated weighs double in training"
    if prepared.leaks:
        leaks = counted(prepared.leaks, "evaluation record is a near duplicate", "evaluation records are near duplicates")
        yield "eval_overlap", f"{leaks} of training records: the evaluation flatters"
    if not tokenizer.writes_tools() and any(prepared.dataset.records.facts.has_tools):
        yield "tools_ignored", "the chat template does not show tools to the model; their descriptions are left out"
    if settings.eval_fraction > 0 and not prepared.eval:
        yield "no_evaluation", "no evaluation example is left, so there will be no evaluation loss"


def _fingerprint(train: ExampleStore, evaluation: ExampleStore, tokenizer: Tokenizer) -> str:
    digest = hashlib.sha256(tokenizer.fingerprint.encode())
    for examples in (train, evaluation):
        digest.update(b"%d\n" % len(examples))
        for place, length in enumerate(examples.lengths.tolist()):
            ids, parts = examples.stretch(place)
            digest.update(b"%d " % length)
            digest.update(ids)
            digest.update(parts)
    return digest.hexdigest()

"""A report on a data file: what is usable, what is wrong with the rest, how long it is, what repeats, what it is about.

The pieces are public, because the data screen shows the same findings one after another: there is no second way to count.
It changes nothing and drops nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from data import thinking
from data.examples import ExampleSettings
from data.facts import facts_of
from data.findings import contamination_of, survey
from data.lengths import Percentiles, percentiles_by_part
from data.reading import Dataset, Fault, Record
from data.tokenizer import Tokenizer

EXAMPLE_LINES = 5

THINKING_FAULTS = frozenset({*thinking.FAULTS, "tag_in_reasoning", "two_reasonings"})
"""Codes of faults in the thinking of a record, usable or not."""

Progress = Callable[[str, int, int], None]
"""Called with a stage (of `data.findings.survey`, and contamination), records done and records in all; it may raise to stop."""


class ProblemCount(Struct, frozen=True):
    """count: occurrences.  lines: of the first ones.  text: the first one's sentence.  is_usable: the records can be trained on.

    records: numbers, from 1, of all the usable records behind it, each once; [] for records that cannot be used, which have no number.
    """

    count: int
    lines: list[int]
    text: str
    is_usable: bool
    records: list[int] = []


class ThinkingCounts(Struct, frozen=True, rename={"with_": "with"}):
    """with, without: usable records.  faulty: records whose block is empty, and those refused for their thinking.
    share: of the usable records with thinking, 0 to 1."""

    with_: int
    without: int
    faulty: int
    share: float = 0.0


class Duplicates(Struct, frozen=True):
    """Groups of usable records by their numbers, from 1. exact: of the same question and answer.  near: alike, those among them."""

    exact: list[list[int]]
    near: list[list[int]]


class Inspection(Struct, frozen=True):
    """records: all of the file.  usable: those that can be trained on.  invalid: the others.
    exact_duplicates: usable records whose question and answer repeat those of an earlier one.

    near_duplicate_groups: groups of two and more records alike, exact duplicates among them; near_duplicate_records: in them.
    duplicates: which records those are.
    tokens: by part, None without a tokenizer.  difficulty, category, language, script (of Chinese texts), terms: usable records by
    value, most first; records without a label are not among the first two.
    """

    path: str
    format: str
    encoding: str
    sha256: str
    records: int
    usable: int
    invalid: int
    problems: dict[str, ProblemCount]
    exact_duplicates: int
    near_duplicate_groups: int
    near_duplicate_records: int
    duplicates: Duplicates
    thinking: ThinkingCounts
    tokens: dict[str, Percentiles] | None
    difficulty: dict[str, int]
    category: dict[str, int]
    language: dict[str, int]
    script: dict[str, int]
    terms: dict[str, int]

    def to_json(self) -> str:
        """The report for programs, UTF-8 text kept."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()


def inspect(
    dataset: Dataset,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
    settings: ExampleSettings | None = None,
    evaluation: Dataset | None = None,
) -> Inspection:
    """The report on `dataset`, which is read on to its end. settings: how examples would be built (the defaults without).
    evaluation: a file whose questions the records should not hold. Raises TemplateError, and DataError as `Dataset.index` does.
    """
    tell = progress or (lambda stage, done, total: None)
    records = dataset.records
    lengths, groups, texts = survey(dataset, tokenizer, settings, tell)
    near = groups_of_several(groups)
    remarks = [*dataset.remarks, *(remark for found in texts.remarks.values() for remark in found)]
    if evaluation is not None:
        remarks += contamination_remarks(dataset, evaluation, lambda done, total: tell("contamination", done, total))
    return Inspection(
        path=str(dataset.path),
        format=dataset.format,
        encoding=dataset.encoding,
        sha256=dataset.sha256,
        records=dataset.values,
        usable=len(records),
        invalid=dataset.invalid,
        problems=count_problems(dataset.faults, remarks, dataset.faults.counts + dataset.remarks.counts),
        exact_duplicates=records.facts.exact_duplicates(),
        near_duplicate_groups=len(near),
        near_duplicate_records=sum(map(len, near.values())),
        duplicates=Duplicates(_numbers(duplicate_groups(records)), _numbers(near.values())),
        thinking=count_thinking(dataset),
        tokens=percentiles_by_part(lengths) if lengths is not None else None,
        difficulty=count_labels(records, "difficulty"),
        category=count_labels(records, "category"),
        language=dict(Counter(texts.languages).most_common()),
        script=dict(Counter(texts.scripts).most_common()),
        terms={name: count for (name, _), count in Counter(texts.terms).most_common()},
    )


def contamination_remarks(dataset: Dataset, evaluation: Dataset, progress: Callable[[int, int], None]) -> list[Fault]:
    """A remark for each record that holds a question of the evaluation file."""
    return [
        Fault(
            line=dataset.records[one.record].line,
            field="",
            code="contaminated",
            text=f"holds {100 * one.share:.0f} % of question {one.evaluation + 1} of {evaluation.path.name}, so that its evaluation would "
            f"measure memory; delete the record: {one.text}",
            record=one.record,
        )
        for one in contamination_of(dataset, evaluation, progress)
    ]


def duplicate_groups(records: Sequence[Record]) -> list[list[int]]:
    """Records of the same question and answer (all turns, system prompt and reasoning apart), in groups of two and more."""
    found: dict[int, list[int]] = {}
    for index, digest in enumerate(facts_of(records).digests):
        found.setdefault(digest, []).append(index)
    return [members for members in found.values() if len(members) > 1]


def _numbers(groups: Iterable[Sequence[int]]) -> list[list[int]]:
    """Groups of records by their numbers instead of their indices."""
    return [[index + 1 for index in members] for members in groups]


def groups_of_several(groups: Sequence[int]) -> dict[int, list[int]]:
    """Group number → its records, for groups of two and more. groups: as `near_duplicate_groups` gives them."""
    members: dict[int, list[int]] = {}
    for record, group in enumerate(groups):
        members.setdefault(group, []).append(record)
    return {group: records for group, records in members.items() if len(records) > 1}


def count_thinking(dataset: Dataset) -> ThinkingCounts:
    """Usable records with and without reasoning; those with an empty block, and those refused for their tags, are faulty."""
    empty = sum(any(is_thinking_fault(fault) for fault in faults) for faults in remarks_by_record(dataset).values())
    refused = len({fault.position for fault in dataset.faults if is_thinking_fault(fault)})
    with_thinking = dataset.records.facts.with_thinking()
    share = round(with_thinking / max(len(dataset.records), 1), 4)
    return ThinkingCounts(with_thinking, len(dataset.records) - with_thinking - empty, empty + refused, share)


def is_thinking_fault(fault: Fault) -> bool:
    return fault.code in THINKING_FAULTS


def remarks_by_record(dataset: Dataset) -> dict[int, list[Fault]]:
    """The reader's remarks on each usable record."""
    found: dict[int, list[Fault]] = {}
    for remark in dataset.remarks:
        found.setdefault(remark.record, []).append(remark)
    return found


def count_problems(
    faults: Iterable[Fault], remarks: Iterable[Fault], counts: Mapping[str, int] | None = None
) -> dict[str, ProblemCount]:
    """Code → how often and where, unusable records first, then the most frequent. counts: where only the first of a code are given."""
    found: dict[str, ProblemCount] = {}
    for several, is_usable in ((faults, False), (remarks, True)):
        by_code: dict[str, list[Fault]] = {}
        for fault in several:
            by_code.setdefault(fault.code, []).append(fault)
        for code, same in sorted(by_code.items(), key=lambda pair: -len(pair[1])):
            lines = [fault.line for fault in same[:EXAMPLE_LINES]]
            count = max(len(same), (counts or {}).get(code, 0))
            records = dict.fromkeys(fault.record + 1 for fault in same if fault.record >= 0)
            found.setdefault(code, ProblemCount(count, lines, same[0].text, is_usable, list(records)))
    return found


def count_labels(records: Sequence[Record], name: str) -> dict[str, int]:
    """Records by their difficulty or category, most first; those without one are left out."""
    facts = facts_of(records)
    counts = Counter({"difficulty": facts.difficulties, "category": facts.categories}[name])
    return {value: count for value, count in counts.most_common() if value}

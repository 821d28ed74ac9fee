"""Splits: nothing leaks, every part gets its share of every kind, the same on every machine."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.conversation import Conversation, Turn
from data.errors import DataError
from data.near_duplicates import near_duplicate_groups
from data.reading import Record, read_file
from data.splitting import crossing_pairs, split

RATIOS = {"train": 0.9, "eval": 0.05, "test": 0.05}


def _records(count, **labels):
    return [
        _record(index, f"{chr(0x4E00 + index * 7) * 3}问题{index * 7919}：{chr(0x6000 + index * 3) * 9}", **labels)
        for index in range(count)
    ]


def _record(index, question, answer="答", difficulty="", reasoning=None):
    return Record(index, index + 1, Conversation((Turn("user", question), Turn("assistant", answer, reasoning)), difficulty=difficulty), {})


@pytest.mark.parametrize("name", ["belle_eval_set.json", "alpaca_zh_demo.json", "alpaca_en_demo.json", "cipher_thinking.jsonl"])
def test_no_near_duplicates_cross_in_real_files(shared_data, name):
    """Proved by comparing all with all."""
    records = read_file(shared_data / name).records[:600]
    made = split(records, {"train": 0.5, "eval": 0.5}, 42)

    assert crossing_pairs(made, [record.conversation.text() for record in records]) == []
    assert set(made.counts) == {"train", "eval"} and sum(made.counts.values()) == len(records)


def test_the_proof_sees_a_crossing_pair():
    """A split made without groups is found out."""
    records = [_record(index, "什么是商用密码应用安全性评估？") for index in range(2)]
    made = split(records, {"train": 0.5, "eval": 0.5}, 42, groups=[0, 1])

    assert crossing_pairs(made, [record.conversation.text() for record in records]) == [(0, 1)]


def test_parts_get_their_shares():
    """To the record, where no group is in the way."""
    assert split(_records(1000), RATIOS, 42).counts == {"train": 900, "eval": 50, "test": 50}


def test_each_kind_of_record_is_split_in_proportion():
    """Difficulty and thinking are as frequent in evaluation as in training."""
    records = [
        _record(index, record.conversation.turns[0].content, difficulty="易" if index % 4 else "难", reasoning="想" if index % 2 else None)
        for index, record in enumerate(_records(800))
    ]
    made = split(records, {"train": 0.75, "eval": 0.25}, 42)

    for kind, share in (("难", 0.25), ("易", 0.75)):
        found = [index for index in made.indices("eval") if records[index].conversation.difficulty == kind]
        assert len(found) == pytest.approx(200 * share, abs=2)
    assert sum(records[index].conversation.has_thinking for index in made.indices("eval")) == pytest.approx(100, abs=2)


def test_a_split_depends_on_content_and_seed_alone():
    """The same records in another order, or on another day, go to the same parts; another seed deals anew."""
    records = _records(300)
    records += [
        _record(300 + index, f"{record.conversation.turns[0].content}!", difficulty="难") for index, record in enumerate(records[:50])
    ]
    shuffled = random.Random(1).sample(records, len(records))
    parts = [
        {record.conversation.text(): part for record, part in zip(made_of, split(made_of, RATIOS, seed).assignment, strict=True)}
        for made_of, seed in ((records, 42), (records, 42), (shuffled, 42), (records, 43))
    ]

    assert parts[0] == parts[1] == parts[2] != parts[3]


def test_a_split_is_fixed_for_ever():
    """A later version must not move records from training to evaluation of a resumed run."""
    assert split(_records(12), {"train": 0.5, "eval": 0.5}, 42).assignment == [
        "train",
        "eval",
        "train",
        "train",
        "train",
        "train",
        "train",
        "eval",
        "eval",
        "eval",
        "eval",
        "eval",
    ]


def test_a_group_goes_whole_even_where_that_breaks_the_shares():
    """One group of half the file is all in one part."""
    records = [*(_record(index, "什么是商用密码应用安全性评估？" + "。" * (index % 2)) for index in range(50)), *_records(50)]
    made = split(records, {"train": 0.9, "eval": 0.1}, 42)

    assert len(set(made.assignment[:50])) == 1
    assert made.counts["eval"] > 0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_records_leave_no_wanted_part_empty(count):
    """Evaluation gets a record as soon as there are two to deal; a part with share nought gets none."""
    made = split(_records(count), {"train": 0.95, "eval": 0.05, "test": 0.0}, 42)

    assert made.counts["train"] >= 1 and made.counts["test"] == 0
    assert made.counts["eval"] == (1 if count > 1 else 0)


def test_no_records_give_an_empty_split():
    """An empty list is no error of ours."""
    assert split([], RATIOS, 42).counts == {"train": 0, "eval": 0, "test": 0}


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(0, 5))
def test_groups_stay_whole_whatever_they_are(groups, seed):
    """Each record is in one part, and all of a group in the same."""
    records = [_record(index, f"问{index}") for index in range(len(groups))]
    made = split(records, RATIOS, seed, groups)

    assert sorted(index for part in RATIOS for index in made.indices(part)) == list(range(len(groups)))
    assert len({(group, part) for group, part in zip(groups, made.assignment, strict=True)}) == len(set(groups))


@pytest.mark.parametrize(
    "ratios", [{}, {"train": 0.9}, {"train": 1.1, "eval": -0.1}, {"train": float("nan"), "eval": 1.0}, {"a": 0.5, "b": 0.6}]
)
def test_ratios_that_are_no_shares_are_refused(ratios):
    """The message shows what was given and an example."""
    with pytest.raises(DataError, match=r"must each lie between 0 and 1 and add up to 1, for example 0\.9,0\.05,0\.05"):
        split(_records(3), ratios, 42)


def test_the_written_split_names_every_record_once(tmp_path):
    """split.json says how it was made and which record is where."""
    records = _records(40)
    made = split(records, RATIOS, 7)
    made.write(tmp_path / "split.json")
    read = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))

    assert sorted(index for part in read["parts"].values() for index in part) == list(range(40))
    assert (read["seed"], read["ratios"], read["records"]) == (7, RATIOS, made.counts)
    assert read["groups"] == len(set(near_duplicate_groups([record.conversation.text() for record in records]))) == 40

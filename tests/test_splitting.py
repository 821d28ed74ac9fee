"""Splits: nothing leaks, every part gets its share of every kind, the same on every machine."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.balance import KINDS
from data.conversation import Conversation, Turn
from data.errors import DataError
from data.formats import convert
from data.near_duplicates import THRESHOLD, jaccard, near_duplicate_groups
from data.proof import crossing_pairs, split_with_proof
from data.reading import Record, read_file
from data.splitting import read_split, split

RATIOS = {"train": 0.9, "eval": 0.05, "test": 0.05}
HAN = [chr(0x4E00 + number * 11) * 3 + chr(0x5000 + number * 7) * 3 for number in range(400)]


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

    assert crossing_pairs(made.assignment, [record.conversation.text() for record in records]) == []
    assert set(made.counts) == {"train", "eval"} and sum(made.counts.values()) == len(records)


def test_the_proof_sees_a_crossing_pair():
    """Exact and near duplicates in different parts are found out; others are not."""
    question = "什么是商用密码应用安全性评估？怎样做"
    texts = [f"{question}？", f"{question}？", f"{question}!", "别的问题"]

    assert crossing_pairs(["train", "eval", "eval", "train"], texts) == [(0, 1), (0, 2)]
    assert crossing_pairs(["train", "train", "train", "eval"], texts) == []


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


@pytest.mark.parametrize("seed", range(8))
def test_many_copies_of_a_short_record_leave_room_for_the_long_ones(seed):
    """A group that fits a part only by taking what another kind lacks stays out of it."""
    groups = [*range(300), *[300, 301] * 50, *range(302, 402)]
    short = [_record(index, f"{HAN[groups[index]]}问") for index in range(400)]
    long = [_record(400 + index, f"{HAN[index]}长问", "答" * 200) for index in range(100)]
    made = split(short + long, {"train": 0.9, "eval": 0.1}, seed, groups)
    got = {one.value: one.got for one in made.balance if one.kind == "length" and one.part == "eval"}

    assert got == {"<100": 40, "100-299": 10}


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
    made = split(_records(12), {"train": 0.5, "eval": 0.5}, 42)

    assert "".join(part[0] for part in made.assignment) == "teeteetettet"


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
    assert all(len(read["hashes"][part]) == len(indices) for part, indices in read["parts"].items())
    assert read["groups"] == len(set(near_duplicate_groups([record.conversation.text() for record in records]))) == 40


@given(st.lists(st.text(st.sampled_from("甲乙丙丁"), min_size=4, max_size=14), max_size=25), st.randoms(use_true_random=False))
def test_the_proof_finds_what_comparing_all_with_all_finds(texts, random):
    """No pair is missed and none is made up, whatever the texts."""
    parts = [random.choice(("train", "eval")) for _ in texts]
    pairs = [(a, b) for b in range(len(texts)) for a in range(b) if parts[a] != parts[b] and jaccard(texts[a], texts[b]) >= THRESHOLD]

    assert crossing_pairs(parts, texts) == sorted(pairs)


@given(st.lists(st.text(st.sampled_from("甲乙丙丁"), max_size=12), max_size=40), st.integers(0, 3))
def test_no_split_leaks_whatever_the_texts(texts, seed):
    """Proved for each."""
    records = [_record(index, text) for index, text in enumerate(texts)]
    made = split(records, {"train": 0.7, "eval": 0.3}, seed)

    assert crossing_pairs(made.assignment, [record.conversation.text() for record in records]) == []


@pytest.mark.parametrize("raw", [{"conversation_id": 7}, {"source": "GB/T 39786"}, {"doc_id": "a"}])
def test_records_of_one_source_stay_together(raw):
    """Whatever they say; the field names what they belong to."""
    raws = [{"instruction": f"{HAN[index]}问", "output": HAN[-index - 1]} | (raw if index % 10 == 0 else {}) for index in range(60)]
    records = [Record(index, index + 1, convert(one, "auto")[0], one) for index, one in enumerate(raws)]
    made = split(records, {"train": 0.5, "eval": 0.5}, 1)

    assert len({made.assignment[index] for index in range(0, 60, 10)}) == 1
    assert len(set(made.assignment)) == 2


def test_a_source_of_most_records_is_no_group():
    """It names the set the records are from; else nothing could be split."""
    raws = [{"instruction": f"{HAN[index % 400]}{index}", "output": HAN[index // 400], "source": "belle"} for index in range(600)]
    records = [Record(index, index + 1, convert(one, "auto")[0], one) for index, one in enumerate(raws)]

    assert split(records, {"train": 0.9, "eval": 0.1}, 1).counts == {"train": 540, "eval": 60}


def test_a_conversation_and_its_beginning_stay_together():
    """One exchange as a record of its own, and a conversation that starts with it and goes on."""
    turns = [Turn("user", "什么是 SM4？"), Turn("assistant", "分组密码。"), Turn("user", "密钥多长？"), Turn("assistant", "长" * 200)]
    whole = [Record(0, 1, Conversation(tuple(turns)), {}), Record(1, 2, Conversation(tuple(turns[:2])), {})]
    others = [_record(index + 2, HAN[index]) for index in range(20)]

    for seed in range(8):
        made = split([*whole, *others], {"train": 0.5, "eval": 0.5}, seed)
        assert made.assignment[0] == made.assignment[1]


def test_added_records_move_few_of_the_others():
    """A tenth more records: under one in fifty of the old ones change their part; with the earlier split given, none does."""
    records = _records(1100)
    old, new = split(records[:1000], RATIOS, 42), split(records, RATIOS, 42)
    kept = split(records, RATIOS, 42, keep=dict(zip(old.digests, old.assignment, strict=True)))

    assert sum(a != b for a, b in zip(old.assignment, new.assignment, strict=False)) <= 20
    assert kept.assignment[:1000] == old.assignment
    assert kept.counts == pytest.approx({"train": 990, "eval": 55, "test": 55}, abs=1)


def test_an_earlier_split_is_read_back(tmp_path):
    """split.json knows each record by its text."""
    made = split(_records(40), RATIOS, 7)
    made.write(tmp_path / "split.json")

    assert read_split(tmp_path / "split.json") == dict(zip(made.digests, made.assignment, strict=True))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json: is no split\.json with hashes"):
        read_split(tmp_path / "other.json")


def test_wanted_against_got_is_told_for_each_kind():
    """Every value of every kind, in every part."""
    questions = [record.conversation.turns[0].content for record in _records(400)]
    records = [_record(index, question, difficulty="易" if index % 4 else "难") for index, question in enumerate(questions)]
    balance = split(records, {"train": 0.75, "eval": 0.25}, 42).balance

    assert {(one.kind, one.value, one.part): (one.wanted, one.got) for one in balance}["difficulty", "难", "eval"] == (25, 25)
    assert {one.kind for one in balance} == set(KINDS)
    assert all(abs(one.got - one.wanted) <= 1 for one in balance)


def test_a_pair_that_the_candidates_missed_is_joined(monkeypatch):
    """MinHash misses a pair once in thousands; the proof finds it, and the split is made again with the two together."""
    texts = [f"什么是商用密码应用安全性评估？怎样做{sign}" for sign in "？!。～"]
    records = [_record(index, text) for index, text in enumerate([*texts, *HAN[:30]])]
    made = split_with_proof(records, {"train": 0.5, "eval": 0.5}, 42, groups=list(range(len(records))))

    assert len(set(made.assignment[:4])) == 1 and made.proof == {"exact": 0, "near": 0}
    assert set(made.assignment) == {"train", "eval"}

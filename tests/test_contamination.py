"""Contamination: a question of the evaluation file in a training record is found, whatever stands around it."""

import json

import pytest

from data.contamination import contaminated
from data.reading import read_file

QUESTIONS = ["求 7 模 26 的乘法逆元，并写出扩展欧几里得算法的每一步。", "SM4 的分组长度和密钥长度各是多少？", "什么是盐？"]


@pytest.fixture
def records(tmp_path):
    """Records of a file with these questions, each answered with the text given."""

    def make(questions, answer="一个回答"):
        path = tmp_path / f"{abs(hash(tuple(questions)))}.jsonl"
        rows = [json.dumps({"instruction": question, "output": answer}, ensure_ascii=False) for question in questions]
        path.write_text("\n".join(rows), encoding="utf-8")
        return read_file(path).records

    return make


@pytest.mark.parametrize(
    ("question", "held"),
    [
        (QUESTIONS[0], 0),
        ("请认真作答。" + QUESTIONS[0] + "谢谢！", 0),
        (QUESTIONS[0].replace("，", "、"), 0),
        ("  sm4 的分组长度 和密钥长度各是多少？\n", 1),
        ("什么是盐？", 2),
    ],
)
def test_a_question_is_found_in_a_record(records, question, held):
    """Space, case, courtesies and changed punctuation do not hide it."""
    (overlap,) = contaminated(records(["无关的问题，讲历史的", question]), records(QUESTIONS))

    assert (overlap.record, overlap.evaluation) == (1, held) and overlap.share >= 0.85


@pytest.mark.parametrize("question", ["求 5 模 11 的乘法逆元。", "什么是盐和胡椒？", "SM4 的轮数是多少？", "x"])
def test_a_similar_question_is_none(records, question):
    """Another task of the same kind, or a longer text around a very short question, is no contamination."""
    assert contaminated(records([question]), records(QUESTIONS)) == []


def test_a_question_in_the_answer_counts(records):
    """A record that quotes it in its answer teaches it as well."""
    assert len(contaminated(records(["出一道题"], answer=f"好的：{QUESTIONS[0]}"), records(QUESTIONS))) == 1


def test_a_file_against_itself_is_wholly_contaminated(shared_data):
    """Every record holds its own question, and no two files of different origin share one."""
    evaluation = read_file(shared_data / "belle_zh_seed_tasks.json").records
    other = read_file(shared_data / "identity.json").records

    assert [one.record for one in contaminated(evaluation, evaluation)] == list(range(len(evaluation)))
    assert contaminated(other, evaluation) == []

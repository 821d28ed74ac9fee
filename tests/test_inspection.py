"""The report on a data file: its counts are those of the field, and every finding is told where it is."""

import json

import pytest
from msgspec import structs

from data.cache import data_cache
from data.inspection import inspect, remarks_by_record
from data.lengths import Percentiles, percentiles
from data.reading import read_file
from data.tokenizer import load_tokenizer
from tests.tokenizers import qwen3_tokenizer_folder

GOOD = {"instruction": "什么是SM4？", "output": "<thinking>国密</thinking>分组密码。", "difficulty": "easy", "category": "symmetric"}


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory, monkeypatch):
    """Findings of other tests, and of the user, are not met."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory):
    """The real Qwen3 tokenizer."""
    return load_tokenizer(qwen3_tokenizer_folder(tmp_path_factory.mktemp("qwen3")))


@pytest.fixture
def report_on(tmp_path):
    """The report on a file of these records."""

    def report(*records, **options):
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
        return inspect(read_file(path), **options)

    return report


@pytest.mark.parametrize(
    ("name", "values", "duplicates"),
    [
        ("alpaca_zh_demo.json", 1000, 8),
        ("alpaca_en_demo.json", 999, 14),
        ("identity.json", 91, 0),
        ("glaive_toolcall_zh_demo.json", 300, 43),
        ("huanhuan.json", 3729, 112),
        ("belle_eval_set.json", 1000, 0),
        ("belle_zh_seed_tasks.json", 175, 0),
        ("sharegpt_zh_1K_format.jsonl", 1000, 0),
        ("ruozhiba_raw.jsonl", 240, 0),
        ("cipher_thinking.jsonl", 432, 0),
    ],
)
def test_exact_duplicates_are_records_that_repeat_an_earlier_one(shared_data, name, values, duplicates):
    """The published counts of each set come out, usable and unusable records together being all of the file."""
    report = inspect(read_file(shared_data / name))

    assert (report.records, report.usable + report.invalid, report.exact_duplicates) == (values, values, duplicates)


@pytest.mark.parametrize(
    ("name", "fields", "published", "template"),
    [
        ("alpaca_zh_demo.json", ("instruction", "input", "output"), (109, 262, 534), 15),
        ("cipher_thinking.jsonl", ("instruction", "output"), (786, 1618, 4505), 8),
    ],
)
def test_token_percentiles_are_the_published_ones_and_the_templates_own_tokens(shared_data, qwen3, name, fields, published, template):
    """The bare texts take what others measured; what the model sees is that and the same few tokens for every record."""
    dataset = read_file(shared_data / name)
    bare = sorted(sum(len(qwen3.encode(record.raw.get(field) or "")) for field in fields) for record in dataset.records)
    report = inspect(dataset, qwen3)

    assert (bare[len(bare) // 2], bare[len(bare) * 95 // 100], bare[-1]) == published
    assert report.tokens is not None and report.tokens["whole"].max == published[-1] + template
    assert abs(report.tokens["whole"].p50 - published[0] - template) <= 1


def test_thinking_is_with_without_or_faulty(report_on):
    """An empty block and a tag never closed are faulty; the first stays usable, the second does not."""
    plain, empty, unclosed = ({"instruction": "q", "output": output} for output in ("a", "<think></think>a", "<think>r"))
    report = report_on(GOOD, plain, empty, unclosed)

    assert (report.records, report.usable, report.invalid) == (4, 3, 1)
    assert (report.thinking.with_, report.thinking.without, report.thinking.faulty) == (1, 1, 2)


def test_problems_are_counted_by_code_with_lines(report_on):
    """Unusable records first; each code with its count, its first lines and whether the records can be used."""
    garbled = {"instruction": "q", "output": "对称密码算法的安全性取决于密钥".encode().decode("gb18030", "ignore")}
    report = report_on({"instruction": "q"}, GOOD, {"instruction": "q"}, garbled)
    missing = report.problems["missing"]

    assert list(report.problems) == ["missing", "garbled"]
    assert (missing.count, missing.lines, missing.is_usable) == (2, [1, 3], False)
    assert report.problems["garbled"].lines == [4] and report.problems["garbled"].is_usable


def test_a_remark_belongs_to_its_record_after_an_unusable_one(tmp_path):
    """Remarks count all values of the file, records only the usable ones."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"instruction": "q"}\n{"instruction": "q", "output": "a"}\n{"instruction": "q", "output": "<think> </think>a"}\n')

    assert [*remarks_by_record(read_file(path))] == [1]


def test_labels_languages_and_terms_are_counted_by_record(report_on):
    """A term said twice in a record counts once; a record's language is the one it has most of."""
    report = report_on(GOOD, GOOD | {"output": "SM4, SM4 and nothing but plain English words here"})

    assert report.difficulty == {"easy": 2} and report.category == {"symmetric": 2}
    assert report.language == {"zh": 1, "en": 1}
    assert report.terms["SM4"] == 2


def test_json_holds_what_other_tools_rely_on(report_on):
    """The keys of the contract, Chinese as it is, and no token counts without a tokenizer."""
    report = json.loads(report_on(GOOD, GOOD).to_json())

    assert report["exact_duplicates"] == 1 and report["near_duplicate_groups"] == 1
    assert report["thinking"] == {"with": 2, "without": 0, "faulty": 0, "share": 1.0}
    assert report["tokens"] is None and report["problems"] == {}


def test_the_records_behind_duplicates_are_told(report_on):
    """Groups by the records' numbers; an unusable value between them has none."""
    other = {"instruction": "证明离散对数问题在哪些群上是困难的", "output": "一般群模型下是指数级"}
    near = [other, other | {"output": "一般群模型下是指数级的"}]
    report = report_on(GOOD, near[0], {"instruction": "q"}, GOOD, near[1])

    assert (report.duplicates.exact, report.duplicates.near) == ([[1, 3]], [[1, 3], [2, 4]])


def test_tokens_are_told_by_part(report_on, qwen3):
    """Each part has its percentiles, and the parts of a record add up to the whole."""
    tokens = json.loads(report_on(GOOD, tokenizer=qwen3).to_json())["tokens"]

    assert [*tokens] == ["prompt", "thinking", "answer", "whole"]
    assert tokens["whole"]["max"] == tokens["prompt"]["p50"] + tokens["thinking"]["p95"] + tokens["answer"]["p99"]


def test_progress_can_stop_it(report_on):
    """What the progress function raises comes through, so that a reader who has seen enough can leave."""

    class Enough(Exception):
        pass

    def stop(stage, done, total):
        raise Enough

    with pytest.raises(Enough):
        report_on(GOOD, progress=stop)


def test_percentiles_are_values_that_occur():
    """Nearest rank: at least that share of the values is no larger."""
    assert percentiles(range(100, 0, -1)) == Percentiles(50, 95, 99, 100)
    assert percentiles([7]) == Percentiles(7, 7, 7, 7) and percentiles([]) == Percentiles(0, 0, 0, 0)


def test_a_second_inspection_of_the_same_content_counts_nothing_again(tmp_path, qwen3):
    """By content, not by name: a copy is known, a changed file is not."""
    path, copy = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_text("".join(json.dumps(GOOD | {"input": str(number)}) + "\n" for number in range(20)), encoding="utf-8")
    copy.write_bytes(path.read_bytes())
    first, stages = inspect(read_file(path), qwen3), []
    again = inspect(read_file(copy), qwen3, lambda stage, done, total: stages.append(stage))

    assert stages == [] and again == structs.replace(first, path=str(copy))
    copy.write_bytes(copy.read_bytes() + b'{"instruction": "q", "output": "a"}\n')
    assert inspect(read_file(copy), qwen3).records == 21


def test_a_second_comparison_with_the_same_evaluation_file_costs_nothing(tmp_path):
    """Known by the content of both files: another evaluation file is compared anew."""
    path, evaluation = tmp_path / "a.jsonl", tmp_path / "evaluation.jsonl"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    evaluation.write_text(json.dumps(GOOD | {"output": "another answer"}), encoding="utf-8")
    first, stages = inspect(read_file(path), evaluation=read_file(evaluation)), []
    again = inspect(read_file(path), None, lambda stage, done, total: stages.append(stage), evaluation=read_file(evaluation))

    assert first.problems["contaminated"].count == 1 and again == first and stages == []
    evaluation.write_text(json.dumps(GOOD | {"instruction": "Something else?"}), encoding="utf-8")
    assert "contaminated" not in inspect(read_file(path), evaluation=read_file(evaluation)).problems


def test_what_cannot_be_kept_is_found_again(tmp_path):
    """A cache that is full or broken costs time, never the report."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    first = inspect(read_file(path))
    for file in data_cache().iterdir():
        if file.suffix in (".npy", ".msgpack"):
            file.write_bytes(b"broken")

    assert inspect(read_file(path)) == first

"""Data files: whatever they turn out to be, records come out or one clear message does."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from data.reading import read_file

RECORDS = [{"instruction": f"问题{number}", "output": f"<think>想{number}</think>答案{number}"} for number in range(3)]
LINES = "\n".join(json.dumps(record, ensure_ascii=False) for record in RECORDS)


def _answers(path):
    return [record.conversation.turns[-1].content for record in read_file(path).records]


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        LINES + "\n\n",
        LINES.replace("\n", "\r\n"),
        json.dumps(RECORDS, ensure_ascii=False),
        json.dumps(RECORDS, ensure_ascii=False, indent=2),
        json.dumps(RECORDS, indent="\t").replace("\n", "\r\n"),
        "\n".join(json.dumps(record, indent=2) for record in RECORDS),
        json.dumps({"data": RECORDS}),
        json.dumps({"data": RECORDS}, indent=1),
        "  \n" + LINES,
    ],
)
@pytest.mark.parametrize("name", ["data.json", "data.jsonl", "data.txt"])
def test_the_content_decides_not_the_ending(tmp_path, name, text):
    """JSON lines, an array, objects in a row and an object around a list all give the same records."""
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")

    assert _answers(tmp_path / name) == ["答案0", "答案1", "答案2"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "gbk"])
def test_encodings_of_the_wild_are_read(tmp_path, encoding):
    """Windows' and old Chinese files need no conversion."""
    (tmp_path / "d.jsonl").write_bytes(LINES.encode(encoding))

    assert _answers(tmp_path / "d.jsonl") == ["答案0", "答案1", "答案2"]


@pytest.mark.parametrize("text", [LINES, json.dumps(RECORDS, indent=2, ensure_ascii=False), json.dumps(RECORDS, ensure_ascii=False)])
def test_records_know_the_line_they_start_on(tmp_path, text):
    """An editor opens at the record, in arrays too."""
    (tmp_path / "d.json").write_text(text, encoding="utf-8")
    dataset = read_file(tmp_path / "d.json")

    lines = text.split("\n")
    for record in dataset.records:
        shown = "\n".join(lines[record.line - 1 : record.line + 2])
        assert record.raw["instruction"] in shown
    assert [record.index for record in dataset.records] == [0, 1, 2]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ('{"instruction": "q", "output": NaN}', "not_a_number"),
        ('{"instruction": "q", "output": -Infinity}', "not_a_number"),
        ('{"instruction": "q", "output": "a", "output": "b"}', "doubled_key"),
        ('{"instruction": "q", "output": "\\ud800"}', "lone_surrogate"),
        ('{"instruction": "q", "output": "a"', "broken_json"),
        ('{"instruction": "q", "output": ' + "[" * 100_000 + "}", "too_deep"),
        ('["a", "list"]', "not_an_object"),
        ("word", "broken_json"),
        ("null", "not_an_object"),
        ('{"instruction": "q"}', "missing"),
    ],
)
def test_a_bad_line_loses_only_itself(tmp_path, bad, code):
    """The fault names its line; the records around it are read; strict makes it an error."""
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join([json.dumps(RECORDS[0]), bad, json.dumps(RECORDS[1])]), encoding="utf-8")
    dataset = read_file(path)

    assert [(fault.line, fault.code) for fault in dataset.faults] == [(2, code)]
    assert [record.line for record in dataset.records] == [1, 3] and dataset.invalid == 1
    with pytest.raises(DataError, match=r"d\.jsonl:2: "):
        read_file(path, strict=True)


def test_a_bad_first_line_does_not_hide_the_others(tmp_path):
    """A broken first line is not mistaken for an object over several lines."""
    (tmp_path / "d.jsonl").write_text('{"instruction": "q", "outp\n' + LINES, encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl")

    assert len(dataset.records) == 3 and [fault.line for fault in dataset.faults] == [1]


def test_a_refused_element_of_an_array_loses_only_itself(tmp_path):
    """An element that is JSON but not acceptable does not end the array."""
    (tmp_path / "d.json").write_text(f'[\n{json.dumps(RECORDS[0])},\n{{"a": NaN}},\n{json.dumps(RECORDS[1])}\n]', encoding="utf-8")
    dataset = read_file(tmp_path / "d.json")

    assert [(fault.line, fault.code) for fault in dataset.faults] == [(3, "not_a_number")]
    assert [record.line for record in dataset.records] == [2, 4]


@pytest.mark.parametrize("tail", ['{"instruction": "q', "", "]]", "} {"])
def test_a_broken_array_says_that_reading_stopped(tmp_path, tail):
    """What was read before the break is kept, and nobody can think that it was everything."""
    (tmp_path / "d.json").write_text(f"[\n{json.dumps(RECORDS[0])},\n{json.dumps(RECORDS[1])}\n{tail}", encoding="utf-8")
    dataset = read_file(tmp_path / "d.json")

    assert len(dataset.records) == 2
    assert {fault.code for fault in dataset.faults} == {"broken_json"}
    assert re.search(r"(nothing|not) .*read$", dataset.faults[-1].text)


def test_damaged_bytes_lose_only_their_record(tmp_path):
    """One bad byte in a UTF-8 file neither turns the file into mojibake nor stops it."""
    lines = LINES.encode().split(b"\n")
    lines[1] = lines[1].replace("想".encode(), "想".encode()[:2])
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(lines))
    dataset = read_file(tmp_path / "d.jsonl")

    assert [(fault.line, fault.code) for fault in dataset.faults] == [(2, "bad_encoding")]
    assert _answers(tmp_path / "d.jsonl") == ["答案0", "答案2"]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n \r\n", b"\xff\xfe"])
def test_an_empty_file_is_told(tmp_path, content):
    """Nothing but white space or a BOM is empty."""
    (tmp_path / "d.json").write_bytes(content)

    with pytest.raises(DataError, match="the file is empty; give"):
        read_file(tmp_path / "d.json")


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    """Both messages name the path; the folder's names the files in it."""
    (tmp_path / "a.jsonl").write_text("{}")

    with pytest.raises(DataError, match=r"nowhere\.json: no such file"):
        read_file(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match=r"is a folder; name a file in it: a\.jsonl"):
        read_file(tmp_path)


def test_a_file_of_no_known_encoding_is_told(tmp_path):
    """The message names the line and the byte."""
    (tmp_path / "d.json").write_bytes(b'[\n"\xff\xff\xff\xff"]')

    with pytest.raises(DataError, match=r"d\.json:2: byte 3 \(0xff\) is neither UTF-8 nor GB18030"):
        read_file(tmp_path / "d.json")


@pytest.mark.parametrize("content", ["[]", "# a readme\nof two lines", '{"id": 1}', "[1, 2]"])
def test_a_file_without_one_record_is_an_error_with_reasons(tmp_path, content):
    """Nothing usable is never an empty success."""
    (tmp_path / "d.json").write_text(content)

    with pytest.raises(DataError, match=r"d\.json: (holds no record|none of its \d records can be used)"):
        read_file(tmp_path / "d.json")


def test_limit_takes_the_first_usable_records(tmp_path):
    """Reading stops as soon as there are enough."""
    (tmp_path / "d.jsonl").write_text("{}\n" + LINES, encoding="utf-8")

    assert [record.line for record in read_file(tmp_path / "d.jsonl", limit=2).records] == [2, 3]


def test_an_empty_thinking_block_is_a_remark(tmp_path):
    """The record stays, counted as one without reasoning."""
    (tmp_path / "d.jsonl").write_text('{"instruction": "q", "output": "<think></think>a"}')
    dataset = read_file(tmp_path / "d.jsonl")

    assert len(dataset.records) == 1 and dataset.invalid == 0
    assert [remark.code for remark in dataset.remarks] == ["empty_thinking"]


@given(st.text(st.sampled_from('[]{}",:\n\r\t 0e-aNI\\u\ud800é'), max_size=60))
def test_no_text_breaks_the_reader(tmp_path_factory, text):
    """Any text gives values and faults with lines of the file, never an exception or an endless loop."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        dataset = read_file(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        found = [*dataset.records, *dataset.faults]

        assert all(1 <= one.line <= text.count("\n") + 1 for one in found)


@pytest.mark.parametrize(
    ("name", "format", "records", "invalid"),
    [
        ("alpaca_zh_demo.json", "alpaca", 1000, 0),
        ("huanhuan.json", "alpaca", 3729, 0),
        ("glaive_toolcall_zh_demo.json", "sharegpt", 300, 0),
        ("sharegpt_zh_1K_format.jsonl", "sharegpt", 998, 2),
        ("reason_tool_use_demo_50.jsonl", "messages", 48, 2),
        ("belle_eval_set.json", "query_response", 631, 369),
        ("cipher_thinking.jsonl", "alpaca", 432, 0),
    ],
)
def test_files_of_the_field_are_read(shared_data, name, format, records, invalid):
    """Real files with their real faults."""
    dataset = read_file(shared_data / name)

    assert (dataset.format, len(dataset.records), dataset.invalid) == (format, records, invalid)


def test_every_trace_of_cipher_thinking_is_found(shared_data):
    """Its `<thinking>` tags become reasoning in all 432 records."""
    assert all(record.conversation.has_thinking for record in read_file(shared_data / "cipher_thinking.jsonl").records)

"""Data files: whatever they turn out to be, records come out or one clear message does."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from data.conversation import Turn
from data.errors import DataError
from data.reading import open_file, read_file

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


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        ('{"instruction": "q", "output": "a", "score": [1, NaN]}', "not_a_number", "score[1]"),
        ('{"instruction": "q", "output": "a", "score": 1e400}', "not_a_number", "score"),
        ('{"instruction": "q", "output": "a", "id": %s}' % ("9" * 5000), "not_a_number", "id"),
        ('{"messages": [{"role": "user", "content": "\\udc00"}]}', "lone_surrogate", "messages[0].content"),
        ('{"instruction": "q", "output": "\udcff"}', "bad_encoding", "output"),
        ('{"instruction": "q", "output": "a", "output": "b"}', "doubled_key", "output"),
        ('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "reasoning_content": 5}]}', "wrong_type",
         "messages[1].reasoning_content"),
    ],
)  # fmt: skip
def test_a_fault_names_the_field(tmp_path, bad, code, field):
    """Also where the value is no JSON that Python's own reader would refuse, or take for an infinite number."""
    (tmp_path / "d.jsonl").write_bytes(f"{json.dumps(RECORDS[0], ensure_ascii=False)}\n{bad}\n".encode("utf-8", "surrogateescape"))

    assert [(fault.line, fault.code, fault.field) for fault in read_file(tmp_path / "d.jsonl").faults] == [(2, code, field)]


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
    """The message names the line and the cure."""
    (tmp_path / "d.json").write_bytes(b'[\n"\xff\xff\xff\xff"]')

    with pytest.raises(DataError, match=r"d\.json:2: the record holds bytes that are no UTF-8; save the file as UTF-8"):
        read_file(tmp_path / "d.json")


@pytest.mark.parametrize("content", ["[]", "# a readme\nof two lines", '{"id": 1}', "[1, 2]"])
def test_a_file_without_one_record_is_an_error_with_reasons(tmp_path, content):
    """Nothing usable is never an empty success."""
    (tmp_path / "d.json").write_text(content)

    with pytest.raises(DataError, match=r"d\.json: (holds no record|none of its \d records can be used|its only record cannot be used)"):
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
        ("belle_zh_seed_tasks.json", "alpaca", 175, 0),
    ],
)
def test_files_of_the_field_are_read(shared_data, name, format, records, invalid):
    """Real files with their real faults."""
    dataset = read_file(shared_data / name)

    assert (dataset.format, len(dataset.records), dataset.invalid) == (format, records, invalid)


def test_every_trace_of_cipher_thinking_is_found(shared_data):
    """Its `<thinking>` tags become reasoning in all 432 records."""
    assert all(record.conversation.has_thinking for record in read_file(shared_data / "cipher_thinking.jsonl").records)


def _table(delimiter, quote=True):
    rows = [[record["instruction"], record["output"].replace("想", "想\n想") if quote else record["output"]] for record in RECORDS]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["instruction", "output"], *rows])
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "delimiter", "container"),
    [("d.csv", ",", "csv"), ("d.csv", ";", "csv"), ("d.tsv", "\t", "tsv"), ("d.txt", ",", "csv"), ("d.csv", "\t", "tsv")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_tables_are_read(tmp_path, name, delimiter, container, encoding):
    """CSV and TSV in any encoding; a record knows its line although cells go over several."""
    (tmp_path / name).write_bytes(_table(delimiter).encode(encoding))
    dataset = read_file(tmp_path / name)

    assert [record.conversation.turns[-1].content for record in dataset.records] == ["答案0", "答案1", "答案2"]
    assert dataset.records[0].conversation.turns[-1].reasoning == "想\n想0"
    assert [record.line for record in dataset.records] == [2, 4, 6]
    assert (dataset.container, dataset.format) == (container, "alpaca")


@pytest.mark.parametrize(
    ("row", "reason"), [("问,答,更多", "3 cells, but the header has 2"), ('"问"x,答', "broken"), ('问,"答', "broken"), (",答", "")]
)
def test_a_broken_row_loses_only_itself(tmp_path, row, reason):
    """Cells too many, quotes in the wrong place, a quote that never ends."""
    (tmp_path / "d.csv").write_text(f"instruction,output\n问0,答0\n{row}\n", encoding="utf-8")
    dataset = read_file(tmp_path / "d.csv")

    assert [record.line for record in dataset.records][:1] == [2]
    assert [fault.code for fault in dataset.faults] == ["broken_row" if reason else "empty"] and reason in dataset.faults[0].text


def test_a_quote_that_is_never_closed_tells_what_it_took_with_it(tmp_path):
    """The rows up to the next quote are one cell to CSV; nobody may think that only one row is missing."""
    rows = ["instruction,output", "问0,答0", '问1,"答1', *(f"问{number},答{number}" for number in range(2, 9)), '"问9",答9', "问10,答10"]
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    dataset = read_file(tmp_path / "d.csv")

    assert [record.line for record in dataset.records] == [2, 12]
    assert [(fault.line, fault.code) for fault in dataset.faults] == [(3, "broken_row")]
    assert "lines 4 to 11 were left out with it" in dataset.faults[0].text


def test_a_column_that_stands_twice_is_told(tmp_path):
    """Nobody knows which is meant."""
    (tmp_path / "d.csv").write_text("instruction,output,output\n1,2,3\n")

    with pytest.raises(DataError, match=r"d\.csv:1: the column 'output' stands twice"):
        read_file(tmp_path / "d.csv")


def test_turns_in_a_cell_are_read(tmp_path):
    """A list written into a table as JSON."""
    turns = [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]
    out = io.StringIO()
    csv.writer(out).writerows([["id", "conversations"], ["1", json.dumps(turns)]])
    (tmp_path / "d.csv").write_text(out.getvalue(), encoding="utf-8")

    assert _answers(tmp_path / "d.csv") == ["答"]


def test_a_cell_of_any_length_is_read(tmp_path):
    """Cells of 300,000 characters occur in the wild."""
    (tmp_path / "d.csv").write_text(f"instruction,output\n问,{'长' * 300_000}\n", encoding="utf-8")

    assert len(_answers(tmp_path / "d.csv")[0]) == 300_000


def test_big5_is_told_from_gbk(tmp_path):
    """Traditional Chinese from Taiwan and simplified Chinese from the mainland, each as it was written."""
    traditional = "對稱密碼演算法使用相同的金鑰進行加密與解密，因此雙方必須事先安全地交換金鑰。"
    simplified = "对称密码算法使用相同的密钥进行加密与解密，因此双方必须事先安全地交换密钥。"
    for encoding, text in (("big5", traditional), ("gbk", simplified), ("gbk", traditional)):
        written = json.dumps([{"instruction": "問", "output": text}], ensure_ascii=False)
        (tmp_path / "d.json").write_bytes(written.encode(encoding))
        dataset = read_file(tmp_path / "d.json")

        assert dataset.records[0].conversation.turns[-1].content == text
        assert dataset.encoding == {"big5": "big5", "gbk": "gb18030"}[encoding]


@pytest.mark.parametrize("indent", [None, 2])
def test_what_stands_before_the_list_of_records_does_not_matter(tmp_path, indent):
    """A version, nested facts, other lists: the records are those of the list that holds some."""
    around = {"version": "1.1", "meta": {"by": [{"name": "x"}], "n": 3}, "tags": ["a", "]"], "data": RECORDS, "note": None}
    (tmp_path / "d.json").write_text(json.dumps(around, indent=indent, ensure_ascii=False), encoding="utf-8")

    assert _answers(tmp_path / "d.json") == ["答案0", "答案1", "答案2"]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_western_text_is_no_chinese_by_accident(tmp_path, ending):
    """The bytes of Größe are one GBK character and more: such records are told, the others read, none made of other letters."""
    rows = [("short", "plain answer"), ("Größe", "schöne Wörter"), ("last", "fine")]
    lines = {
        "csv": ["instruction,output", *map(",".join, rows)],
        "jsonl": [json.dumps(dict(zip(("instruction", "output"), row, strict=True)), ensure_ascii=False) for row in rows],
    }[ending]
    (tmp_path / f"d.{ending}").write_bytes("\n".join(lines).encode("cp1252"))
    dataset = read_file(tmp_path / f"d.{ending}")

    assert _answers(tmp_path / f"d.{ending}") == ["plain answer", "fine"]
    assert [(fault.code, fault.field, lines[fault.line - 1]) for fault in dataset.faults] == [("bad_encoding", "instruction", lines[-2])]


@pytest.mark.parametrize("layout", ["compact", "indented", "rows"])
def test_an_object_of_records_is_read(tmp_path, layout):
    """Records by name, on one line, indented, or several such objects in a row."""
    records = {f"r{number}": record for number, record in enumerate(RECORDS)}
    rows = "\n".join(json.dumps({name: record}) for name, record in records.items())
    text = {"compact": json.dumps(records), "indented": json.dumps(records, indent=2), "rows": rows}[layout]
    (tmp_path / "d.json").write_text(text, encoding="utf-8")

    assert _answers(tmp_path / "d.json") == ["答案0", "答案1", "答案2"]


def test_each_instance_of_a_seed_task_is_a_record(tmp_path):
    """self-instruct's layout: one instruction, several inputs and outputs."""
    task = {"instruction": "同义词", "instances": [{"input": "快", "output": "迅速"}, {"input": "慢", "output": "缓慢"}], "id": "t"}
    (tmp_path / "d.jsonl").write_text(json.dumps(task), encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl")

    assert [record.conversation.turns[0].content for record in dataset.records] == ["同义词\n快", "同义词\n慢"]
    assert dataset.records[1].raw == {"instruction": "同义词", "id": "t", "input": "慢", "output": "缓慢"}


def test_columns_name_the_fields_of_another_layout(tmp_path):
    """data.columns: what is called otherwise is read under the known names; raw stays as it was."""
    (tmp_path / "d.jsonl").write_text('{"提问": "q", "回答": "a", "思考": "r"}', encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl", columns=["query=提问", "response = 回答", "reasoning=思考"])

    assert dataset.records[0].conversation.turns == (Turn("user", "q"), Turn("assistant", "a", "r"))
    assert list(dataset.records[0].raw) == ["提问", "回答", "思考"]
    (tmp_path / "bad.jsonl").write_text('{"提问": "q", "回答": 5}\n{"提问": "q", "回答": "a"}', encoding="utf-8")
    (fault,) = read_file(tmp_path / "bad.jsonl", columns=["query=提问", "response=回答"]).faults
    assert (fault.field, fault.text) == ("回答", "'回答' is 5; it must be a text")
    with pytest.raises(DataError, match="'antwort=回答' is not NAME=THEIRS"):
        read_file(tmp_path / "d.jsonl", columns=["antwort=回答"])


def test_reading_goes_on_after_a_broken_element(tmp_path):
    """A quote forgotten in one element of an array does not cost the file."""
    lines = [json.dumps(record, ensure_ascii=False) for record in RECORDS]
    broken = lines[1].replace('": "问题1"', '": "问题1')
    for text in (f"[\n{lines[0]},\n{broken},\n{lines[2]}\n]", f"[\n  {lines[0]},\n  {broken},\n  {lines[2]}\n]"):
        (tmp_path / "d.json").write_text(text, encoding="utf-8")
        dataset = read_file(tmp_path / "d.json")

        assert [record.line for record in dataset.records] == [2, 4]
        assert [fault.line for fault in dataset.faults] == [3] and dataset.faults[0].text.endswith("reading goes on at line 4")


def test_a_large_file_opens_before_it_is_read(tmp_path):
    """The first rows are there when a small part of the file has been looked at; the rest comes when asked for, also after a stop."""
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(RECORDS[0] | {"id": number}) + "\n" for number in range(20_000)))
    dataset = open_file(path)
    seen = len(dataset.records)

    class Enough(Exception):
        pass

    def stop(done, total):
        if done > total / 2:
            raise Enough

    assert 0 < seen < 1000 and not dataset.is_complete and dataset.progress[0] < dataset.progress[1]
    with pytest.raises(Enough):
        dataset.index(stop)
    assert seen < len(dataset.records) < 20_000
    dataset.index()
    assert [record.raw["id"] for record in dataset.records] == list(range(20_000)) and dataset.is_complete


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_records_beyond_those_in_memory_are_read_again(tmp_path, monkeypatch, encoding):
    """From anywhere, in any order, the same as when they were first seen; from a converted file too."""
    monkeypatch.setattr("data.dataset.KEPT_BYTES", 0)
    (tmp_path / "d.json").write_bytes(json.dumps(RECORDS, ensure_ascii=False, indent=1).encode(encoding))
    dataset = read_file(tmp_path / "d.json")
    places = [2, 0, 1, -1, 2]

    assert [dataset.records[place].raw for place in places] == [RECORDS[place] for place in places]
    assert [record.index for record in dataset.records[::-1]] == [2, 1, 0]
    with pytest.raises(IndexError):
        dataset.records[3]


@pytest.mark.parametrize("others", [False, True], ids=["alone", "while another indexes"])
def test_reading_on_gives_every_record_once(tmp_path, monkeypatch, others):
    """As found, without reading again those that are not kept; with another's index in between none is missing."""
    monkeypatch.setattr("data.dataset.KEPT_BYTES", 0)
    (tmp_path / "d.jsonl").write_text("".join(f'{{"id": {n}, "query": "q", "response": "r"}}\n' for n in range(500)), encoding="utf-8")
    dataset = open_file(tmp_path / "d.jsonl")
    first = len(dataset.records)
    expected, loaded = dataset.expected, []
    load = dataset.load
    monkeypatch.setattr(dataset, "load", lambda *place: loaded.append(place) or load(*place))
    found = []
    for record in dataset.read_on():
        found.append(record.raw["id"])
        if others and len(found) == 100:
            dataset.index()

    assert found == list(range(500)) and first < 500 and dataset.is_complete and 450 < expected < 550
    assert others or len(loaded) == first


def test_a_file_changed_while_open_is_told(tmp_path, monkeypatch):
    """Instead of a record that never was."""
    monkeypatch.setattr("data.dataset.KEPT_BYTES", 0)
    (tmp_path / "d.jsonl").write_text(LINES, encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl")
    with (tmp_path / "d.jsonl").open("r+b") as file:
        file.write(b"x" * 40)

    with pytest.raises(DataError, match="was changed while it was open"):
        dataset.records[0]


def test_a_file_of_nothing_but_faults_stays_small(tmp_path):
    """All are counted, the first ten thousand told one by one."""
    (tmp_path / "d.jsonl").write_text("x\n" * 12_000 + LINES, encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl")

    assert (len(dataset.faults), dataset.faults.counts["broken_json"], dataset.invalid) == (10_000, 12_000, 12_000)


def test_a_record_without_end_is_told(tmp_path, monkeypatch):
    """A line of gigabytes is passed over without being held."""
    monkeypatch.setattr("data.json_window.LONGEST", 1 << 20)
    (tmp_path / "d.jsonl").write_text(LINES + '\n{"a": "' + "x" * (4 << 20) + '"}\n' + LINES, encoding="utf-8")
    dataset = read_file(tmp_path / "d.jsonl")

    assert len(dataset.records) == 6 and [(fault.line, fault.code) for fault in dataset.faults] == [(4, "too_long")]


@pytest.mark.parametrize("name", ["alpaca_zh_demo.json", "sharegpt_zh_1K_format.jsonl"])
def test_a_parquet_file_gives_the_records_of_the_json_it_was_made_of(shared_data, tmp_path, name):
    """Turns, faults and layout are equal, whatever the container."""
    original = read_file(shared_data / name)
    raws = [original.raw_at(position) for position in range(original.values)]
    parquet.write_table(pyarrow.Table.from_pylist(raws), tmp_path / "d.parquet")
    read = read_file(tmp_path / "d.parquet")

    assert [one.conversation for one in read.records] == [one.conversation for one in original.records]
    assert [one.code for one in read.faults] == [one.code for one in original.faults]
    assert (read.container, read.format, read.values) == ("parquet", original.format, original.values)


def test_a_parquet_file_without_pyarrow_is_told_with_the_cure(tmp_path, monkeypatch):
    """It is an optional package."""
    (tmp_path / "d.parquet").write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(DataError, match=r"pip install 'danlu\[parquet\]'"):
        read_file(tmp_path / "d.parquet")


def test_a_broken_parquet_file_is_told(tmp_path):
    """A download that was cut off says so, in one sentence."""
    parquet.write_table(pyarrow.Table.from_pylist(RECORDS), tmp_path / "d.parquet")
    (tmp_path / "d.parquet").write_bytes((tmp_path / "d.parquet").read_bytes()[:-20])

    with pytest.raises(DataError, match=r"d\.parquet: is a broken Parquet file .*download it again"):
        read_file(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(LINES.encode()), "gunzip"),
        (lzma.compress(LINES.encode()), "unxz"),
        (bz2.compress(LINES.encode()), "bunzip2"),
        (b"PK\x03\x04\x14\x00", "save the sheet as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "fetch the file again"),
    ],
)
def test_what_is_no_data_file_yet_is_told_with_the_cure(tmp_path, content, says):
    """Not as an unknown encoding or broken JSON."""
    (tmp_path / "d.jsonl").write_bytes(content)

    with pytest.raises(DataError, match=rf"d\.jsonl: is .*{says}"):
        read_file(tmp_path / "d.jsonl")


def test_a_path_with_a_nul_is_told():
    """No file name can hold one."""
    with pytest.raises(DataError, match="holds a NUL character"):
        read_file("a\0b")


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30).filter(str.strip)


PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


@given(PAIRS, st.sampled_from([None, 2]), st.booleans(), st.sampled_from(["array", "lines", "named"]))
def test_whatever_is_written_is_read(tmp_path_factory, pairs, indent, ascii, layout):
    """Any texts, in any arrangement, with or without escapes."""
    records = [{"instruction": question, "output": answer.replace("<", "")  or "a"} for question, answer in pairs]
    records = [record for record in records if record["output"].strip()]
    if not records:
        return
    value = records if layout == "array" else {f"r{number}": record for number, record in enumerate(records)}
    lines = "\n".join(json.dumps(record, ensure_ascii=ascii) for record in records)
    path = tmp_path_factory.getbasetemp() / "written.json"
    path.write_bytes((lines if layout == "lines" else json.dumps(value, ensure_ascii=ascii, indent=indent)).encode())

    assert [record.raw for record in read_file(path).records] == records


@given(st.binary(max_size=200), st.sampled_from(["d.jsonl", "d.csv", "d.tsv"]))
def test_no_bytes_break_the_reader(tmp_path_factory, data, name):
    """Records and faults, or one message that names the file."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(b'{"instruction": "q", "output": "a"}\n' * (name == "d.jsonl") + data)
    try:
        read_file(path)
    except DataError as error:
        assert str(path) in str(error)

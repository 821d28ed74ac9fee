"""`danlu make-data`: JSON Lines out, verdicts out, faults said with their cure."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tui import cli


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_exercises_go_to_stdout_and_words_to_stderr(here, capsys):
    """One JSON record a line, as many as asked for, of the families and levels asked for."""
    code = cli.main(["make-data", "--count", "12", "--families", "power, xor", "--levels", "2-3,5", "--seed", "3"])
    said = capsys.readouterr()
    records = lines(said.out)

    assert code == 0
    assert Counter(record["family"] for record in records) == {"power": 6, "xor": 6}
    assert {record["difficulty"] for record in records} == {2, 3, 5}
    assert "12 exercises of 2 kinds" in said.err


def test_a_file_is_whole_or_not_there(here, capsys):
    """With --out the file holds all; too few exercises leave nothing behind, and a file that is there is not overwritten."""
    assert cli.main(["make-data", "--count", "5", "--out", "made.jsonl"]) == 0
    assert len(lines(Path("made.jsonl").read_text(encoding="utf-8"))) == 5
    assert cli.main(["make-data", "--count", "5", "--out", "made.jsonl"]) == 2
    assert cli.main(["make-data", "--count", "9999", "--families", "lfsr_period", "--out", "few.jsonl"]) == 2

    assert [path.name for path in here.iterdir()] == ["made.jsonl"]
    assert "different exercises" in capsys.readouterr().err


def test_answers_are_graded_by_line(here, capsys):
    """A response counts in place of the record's own answer; the table on stderr counts each state."""
    cli.main(["make-data", "--count", "3", "--families", "inverse", "--out", "made.jsonl"])
    first, second, third = lines(Path("made.jsonl").read_text(encoding="utf-8"))
    second["response"] = "<think>好</think>答案：x = 0"
    third["response"] = "<think>还没想完"
    Path("answers.jsonl").write_text("\n\n".join(map(json.dumps, (first, second, third))), encoding="utf-8")
    capsys.readouterr()

    code = cli.main(["make-data", "--grade", "answers.jsonl"])
    said = capsys.readouterr()

    assert code == 0
    assert [verdict["state"] for verdict in lines(said.out)] == ["right", "wrong", "unreadable"]
    assert [verdict["id"] for verdict in lines(said.out)] == [first["id"], second["id"], third["id"]]
    assert said.err.splitlines()[-1].split() == ["all", "3", "1", "1", "1", "33.3"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--count", "0"], "--count 0"),
        (["--levels", "3-1"], "--levels 3-1"),
        (["--levels", "x"], "--levels x"),
        (["--levels", "0-6"], "levels are 1 to 5"),
        (["--families", "rsa"], "rsa_key"),
        (["--grade", "broken.jsonl"], "broken.jsonl:2"),
        (["--grade", "nothing_expected.jsonl"], "nothing_expected.jsonl:1"),
        (["--grade", "empty.jsonl"], "no exercises"),
        (["--grade", "nowhere.jsonl"], "--grade nowhere.jsonl: No such file"),
    ],
)
def test_a_wrong_wish_is_one_message_with_exit_code_2(arguments, says, here, capsys):
    """It names the option or the line, and what would be right."""
    good = {"expected": [{"type": "number", "name": "x", "value": 1}], "response": "1"}
    Path("broken.jsonl").write_text(json.dumps(good) + "\n{\n", encoding="utf-8")
    Path("nothing_expected.jsonl").write_text(json.dumps(good | {"expected": []}), encoding="utf-8")
    Path("empty.jsonl").touch()

    assert cli.main(["make-data", *arguments]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]

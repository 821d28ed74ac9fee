"""The command line: its public face, exit codes, one message for every fault, data on stdout and narration on stderr."""

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events
from engine.check import Check, found
from engine.launch import send
from engine.run_directory import RunDirectory
from tests.console_runs import evaluation
from tests.engine_runs import write_records
from tests.fake_engine import FINISHED, STARTED, engine, step, write
from tui import cli
from tui.texts import set_language

START = {"--set", "--name", "--detach", "--plain"}
NODES = {"--node-rank", "--rdzv"}
PUBLIC = {
    "demo": START,
    "train": START | NODES | {"CONFIG", "--nnodes"},
    "runs": {"--json"},
    "attach": {"RUN", "--plain"},
    "stop": {"RUN", "--now"},
    "resume": NODES | {"RUN", "--set", "--detach", "--plain"},
    "logs": {"RUN", "-f", "--follow", "--engine"},
    "doctor": {"--json", "--measure"},
    "inspect": {"DATA", "--model", "--against", "--words", "--format", "--column", "--json"},
    "split": {"DATA", "--out", "--ratios", "--seed", "--format", "--keep", "--column"},
    "terms": {"TEXT_OR_FILE", "--coverage", "--json"},
    "make-data": {"--count", "--seed", "--part", "--families", "--levels", "--out", "--grade"},
    "plan": {"CONFIG", "--set", "--hardware", "--json"},
    "export": {"RUN", "--out", "--checkpoint", "--adapter", "--dtype", "--force", "--json"},
    "eval": {"RUN", "--data", "--column", "--base", "--checkpoint", "--json"},
    "chat": {"RUN", "--base", "--checkpoint", "--system", "--max-new-tokens", "--temperature", "--json"},
    "fetch": {"MODEL", "--source", "--revision"},
    "launch-files": {"CONFIG", "--out", "--set", "--name"},
}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parent.parent)}
EVERYWHERE = {"-h", "--help", "--lang", "--ascii", "--runs-dir"}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield
    set_language("auto")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_takes_what_a_run_needs():
    """`danlu demo` is `danlu train` with a preset: what the one reads of its options, the other has."""
    parser = cli.build_parser(cli.COMMANDS)
    demo, train = parser.parse_args(["demo"]), parser.parse_args(["train", "demo"])

    assert vars(demo).keys() == vars(train).keys()


@pytest.fixture
def run(here) -> RunDirectory:
    """A run called "one" without events in the current folder's runs."""
    found = RunDirectory(here / "runs" / "one")
    found.path.mkdir(parents=True)
    found.config.touch()
    return found


def danlu(*arguments: str, **options) -> subprocess.CompletedProcess:
    """The command in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env=ENVIRONMENT, check=False, **options,
    )  # fmt: skip


def test_public_commands_and_options_are_these():
    """Scripts rely on them: whoever changes this changes the contract."""
    parser = cli.build_parser(cli.COMMANDS)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    seen = {name: set(_words(command)) for name, command in commands.items()}

    assert {name: words - EVERYWHERE for name, words in seen.items()} == PUBLIC
    assert all(words >= EVERYWHERE for words in seen.values())


def _words(command: argparse.ArgumentParser):
    for action in command._actions:
        yield from action.option_strings or [action.metavar]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_names_every_command(language, capsys):
    """Each command stands in the help at the beginning of a line, in both languages."""
    with pytest.raises(SystemExit) as left:
        cli.main(["--lang", language, "--help"])

    words = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert left.value.code == 0
    assert words >= set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command, capsys):
    """Each command explains its arguments."""
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])

    assert left.value.code == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["runs"], ["attach", "nothing"]])
def test_quick_commands_do_not_load_the_console(arguments, here):
    """Start-up stays fast because textual and torch are not imported for what needs neither."""
    code = "import sys\nfrom tui.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"

    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=ENVIRONMENT)

    assert not {"textual", "torch", "transformers"} & set(ended.stderr.splitlines()[-1].split())


FAULTS = [
    (["train", "nowhere.toml"], "nowhere.toml"),
    (["train", "broken.toml"], "broken.toml"),
    (["train", "demo", "--set", "train.learning_rat=1"], "learning_rate"),
    (["train", "demo", "--set", "train.learning_rate"], "KEY=VALUE"),
    (["train", "demo", "--set", "train.learning_rate=fast"], "learning_rate"),
    (["train", "demo", "--set", "data.path=nowhere.jsonl"], "nowhere.jsonl"),
    (["train", "demo", "--set", "data.path=d.jsonl", "--set", "model.name=./nowhere"], "nowhere"),
    (["train", "demo", "--set", "data.path=d.jsonl", "--name", "a b"], "a b"),
    (["train", "demo", "--set", "data.path=d.jsonl", "--name", "one"], "one"),
    (["attach", "nothing"], "nothing"),
    (["stop", "one"], "no engine"),
    (["logs", "one"], "training.log"),
    (["resume", "nothing"], "nothing"),
    (["split", "nowhere.jsonl", "--out", "parts"], "nowhere.jsonl"),
    (["split", "d.jsonl", "--out", "parts", "--ratios", "0.9"], "0.9"),
    (["split", "d.jsonl", "--out", "parts", "--ratios", "0.9,0.9"], "add up to 1"),
    (["plan", "demo", "--set", "model.name=./nowhere"], "nowhere"),
    (["fetch", "./nowhere"], "nowhere"),
    (["inspect", "nowhere.jsonl"], "nowhere.jsonl"),
    ([], "terminal"),
]


@pytest.mark.parametrize(("arguments", "says"), FAULTS, ids=[" ".join(arguments) or "console" for arguments, _ in FAULTS])
def test_wrong_input_is_one_message_and_exit_code_2(arguments, says, run, capsys):
    """It names what is wrong, leaves stdout empty, and starts nothing."""
    write_records(Path("d.jsonl"), 3)
    Path("broken.toml").write_text("[train\n", encoding="utf-8")

    code = cli.main(arguments)

    out, err = capsys.readouterr()
    message = [line for line in err.splitlines() if line != "Starting the engine…"]
    assert (code, out) == (2, "")
    assert message[0].startswith("danlu: ") and says in err
    assert "Traceback" not in err
    assert [path.name for path in (run.path.parent).iterdir()] == ["one"]


MISUSES = [["tran"], ["train"], ["runs", "--nonsense"], ["split", "d.jsonl", "--out", "x", "--seed", "a"], ["--lang", "de"]]


@pytest.mark.parametrize("arguments", MISUSES, ids=" ".join)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments, capsys):
    """One line that points to the help."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)

    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_process_ends_with_the_exit_code_and_no_traceback(here):
    """The same from outside: stdout empty, one line on stderr, exit code 2."""
    ended = danlu("train", "nowhere.toml")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1


def test_unexpected_error_leaves_its_traceback_in_a_file(here, monkeypatch, capsys):
    """A defect of ours is one sentence too; what a developer needs is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    monkeypatch.setattr("tui.commands.runs.find_runs", lambda folder: 1 / 0)

    assert cli.main(["runs"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err and len(err.splitlines()) == 1
    assert "ZeroDivisionError" in next((here / "cache" / "danlu").iterdir()).read_text(encoding="utf-8")


def test_refusal_of_the_system_names_file_and_reason(run, capsys):
    """An OSError is the machine's fault: exit code 1, the path and why."""
    run.training_log.mkdir()

    assert cli.main(["logs", "one", "-f"]) == 1
    err = capsys.readouterr().err
    assert "training.log" in err and "directory" in err


def test_reader_that_leaves_early_is_no_error(here):
    """`danlu terms FILE | head` ends in silence."""
    Path("long.txt").write_text("SM4、AES " * 200_000, encoding="utf-8")

    ended = subprocess.run(
        f"{sys.executable} -m tui terms long.txt --json 2>err | head -n 1", shell=True, text=True, capture_output=True, check=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert ended.stdout == "{\n"
    assert Path("err").read_text(encoding="utf-8") == ""


def test_output_survives_an_encoding_without_chinese(here):
    """A terminal that knows only ASCII gets escapes, not a traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "tui", "--lang", "zh", "terms", "国密SM4"], capture_output=True, check=False,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert ended.returncode == 0
    assert ended.stdout.isascii() and b"SM4" in ended.stdout


def test_options_stand_before_or_behind_the_command(run, capsys):
    """--runs-dir is understood in both places; the one behind wins."""
    write(run, STARTED, step(2), FINISHED)

    for arguments in (["--runs-dir", "runs", "runs"], ["runs", "--runs-dir", "runs"], ["--runs-dir", "no", "runs", "--runs-dir", "runs"]):
        assert cli.main(arguments) == 0
        assert "one" in capsys.readouterr().out


def test_runs_are_listed_with_their_state(run, capsys):
    """State as a sign and a word, steps, newest losses; JSON has the same."""
    write(run, STARTED, step(2, loss=1.5), FINISHED)
    live = RunDirectory(run.path.parent / "二号")
    live.path.mkdir()

    with engine(live, STARTED, events.Phase(name="train"), step(1)):
        cli.main(["runs"])
        lines = capsys.readouterr().out.splitlines()
        cli.main(["runs", "--json"])
        facts = {found["name"]: found for found in json.loads(capsys.readouterr().out)["runs"]}

    assert len(lines) == 3
    assert any("✓ finished" in line and "2/4" in line and "1.500" in line for line in lines)
    assert any("● training" in line for line in lines)
    assert (facts["one"]["status"], facts["one"]["exit_code"], facts["二号"]["live"]) == ("finished", 0, True)


def test_runs_tell_the_newest_evaluation(run, capsys):
    """Loss and the share of tokens predicted right, of thinking and answer apart in the JSON; null where there was none."""
    write(run, STARTED, evaluation(0, 3.0), step(2), evaluation(2, 2.0), FINISHED)
    (run.path.parent / "new").mkdir()
    write(RunDirectory(run.path.parent / "new"), STARTED)

    cli.main(["runs"])
    lines = capsys.readouterr().out.splitlines()
    cli.main(["runs", "--json"])
    facts = {found["name"]: found for found in json.loads(capsys.readouterr().out)["runs"]}

    assert any("one" in line and "2.000" in line and "50.0 %" in line for line in lines)
    names = ("eval_loss", "eval_accuracy", "eval_thinking_accuracy", "eval_answer_accuracy")
    assert [facts["one"][name] for name in names] == [2.0, 0.5, 0.4, 0.75]
    assert [facts["new"][name] for name in names] == [None] * 4


def test_run_without_a_last_word_has_died(run, capsys):
    """No lock and no engine_stopped: the list says so and offers to resume."""
    write(run, STARTED, step(1))

    cli.main(["runs", "--json"])

    found = json.loads(capsys.readouterr().out)["runs"][0]
    assert (found["status"], found["can_resume"], found["exit_code"]) == ("died", True, 1)


def test_no_runs_is_said_on_stderr(here, capsys):
    """An empty list has no data; the person is told how to begin."""
    assert cli.main(["runs"]) == 0

    out, err = capsys.readouterr()
    assert out == "" and "danlu demo" in err


def test_stop_waits_for_the_end_of_the_run(run, capsys):
    """The command is sent, the engine's end awaited, and how to go on is said."""
    with engine(run, STARTED, step(2)) as received:
        code = cli.main(["stop", "one"])

    assert (code, [command.type for command in received]) == (0, ["stop"])
    assert "danlu resume one" in capsys.readouterr().err


@pytest.mark.parametrize(("language", "says"), [("en", "nothing to stop; the run is finished"), ("zh", "无需停止；训练状态：已完成")])
def test_nothing_to_stop_is_said_in_the_users_words(run, capsys, language, says):
    """A run that has ended is named with its state, on stderr, as wrong input."""
    write(run, STARTED, FINISHED)

    assert cli.main(["--lang", language, "stop", "one"]) == 2
    assert says in capsys.readouterr().err


def test_attach_without_a_name_takes_the_live_run(run, capsys):
    """Of all runs the live one is meant; its exit code is the command's."""
    other = RunDirectory(run.path.parent / "two")
    other.path.mkdir()
    write(other, STARTED, FINISHED)

    with engine(run, STARTED, step(1), then=lambda: send(run, "stop")):
        assert cli.main(["attach", "--plain"]) == 3


def test_logs_show_control_characters(run, capsys):
    """Whatever a log holds, nothing in it reaches the terminal as a command."""
    run.training_log.write_text("sample \x1b]52;c;QQ==\x07 密码\n", encoding="utf-8")

    assert cli.main(["logs", "one"]) == 0
    assert capsys.readouterr().out == "sample ␛]52;c;QQ==␇ 密码\n"


def test_terms_as_json_have_their_places(here, capsys):
    """Offsets are those of the text as given."""
    assert cli.main(["terms", "用SM4加密", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)["terms"][0]
    assert (found["text"], found["start"], found["end"]) == ("SM4", 1, 4)
    assert found["name"] and found["category"]


def test_terms_are_read_from_files_and_stdin(here, monkeypatch, capsys):
    """A file may be GBK; - is stdin."""
    Path("gbk.txt").write_bytes("数字签名用SM2".encode("gb18030"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("杂凑SM3".encode())))

    cli.main(["terms", "gbk.txt", "--json"])
    cli.main(["terms", "-", "--json"])

    out = capsys.readouterr().out
    assert '"SM2"' in out and '"SM3"' in out


def test_split_keeps_records_as_they_were(here, capsys):
    """Every record is in exactly one part, with the fields and values it had."""
    records = [{"instruction": f"问题{n}：{str(n * 7919) * 9}", "input": "", "output": f"答{n}", "extra": {"n": n}} for n in range(40)]
    Path("d.jsonl").write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")

    assert cli.main(["split", "d.jsonl", "--out", "parts", "--ratios", "0.5,0.25,0.25"]) == 0

    parts = [Path(f"parts/{part}.jsonl").read_text("utf-8").splitlines() for part in ("train", "eval", "test")]
    written = [json.loads(line) for lines in parts for line in lines]
    assert all(parts)
    assert sorted(written, key=str) == sorted(records, key=str)
    assert json.loads(Path("parts/split.json").read_text("utf-8"))["seed"] == 42
    assert sorted(path.name for path in Path("parts").iterdir()) == ["eval.jsonl", "split.json", "test.jsonl", "train.jsonl"]


def test_split_of_two_shares_has_no_test_part(here):
    """Two ratios are train and eval."""
    write_records(Path("d.jsonl"))

    assert cli.main(["split", "d.jsonl", "--out", "parts", "--ratios", "0.8,0.2"]) == 0
    assert not Path("parts/test.jsonl").exists()


def test_split_never_overwrites(here, capsys):
    """A second split into the same folder is refused and changes nothing."""
    write_records(Path("d.jsonl"))
    cli.main(["split", "d.jsonl", "--out", "parts"])
    before = Path("parts/train.jsonl").read_bytes()

    assert cli.main(["split", "d.jsonl", "--out", "parts", "--seed", "7"]) == 2
    assert Path("parts/train.jsonl").read_bytes() == before


def test_plan_that_cannot_fit_is_exit_code_1(here, capsys):
    """A million tokens a row of the reference model fits nowhere; the JSON has every key that scripts rely on."""
    Path("c.toml").write_text("[data]\nmax_seq_length = 1048576\n[train]\nbatch_size = 4096\n", encoding="utf-8")

    assert cli.main(["plan", "c.toml", "--json"]) == 1
    plan = json.loads(capsys.readouterr().out)
    assert plan["fits"] is False and plan["reasons"]
    assert plan.keys() >= {"peak_memory_gib", "available_gib", "components", "micro_batch", "strategy", "time_s"}
    assert sum(plan["components"].values()) == pytest.approx(plan["peak_memory_gib"])


def test_plan_in_chinese_is_chinese(here, capsys):
    """The words of the table come from the catalogue."""
    Path("c.toml").write_text("[data]\nmax_seq_length = 1048576\n[train]\nbatch_size = 4096\n", encoding="utf-8")

    cli.main(["plan", "c.toml", "--lang", "zh"])

    assert "内存不足" in capsys.readouterr().out


def test_following_the_log_of_a_dead_run_ends(run, capsys):
    """Following a log of a run that no engine is at prints it and ends."""
    run.training_log.write_text("step 1\nstep 2\n", encoding="utf-8")

    assert cli.main(["logs", "one", "-f"]) == 0
    assert capsys.readouterr().out.splitlines() == ["step 1", "step 2"]


def test_inspection_as_json_has_what_scripts_rely_on(here, capsys):
    """Counts, problems and duplicates; tokens only with a model."""
    write_records(Path("d.jsonl"), 6)
    with open("d.jsonl", "a", encoding="utf-8") as file:
        file.write("\n{broken\n")

    assert cli.main(["inspect", "d.jsonl", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["records"], report["usable"], report["invalid"]) == (7, 6, 1)
    assert report.keys() >= {"problems", "exact_duplicates", "near_duplicate_groups", "thinking", "tokens"}
    assert report["thinking"].keys() == {"with", "without", "faulty", "share"}


def test_inspection_names_every_problem(here, capsys):
    """A faulty line is in the report with its number and reason; the report is not refused."""
    write_records(Path("d.jsonl"), 2)
    with open("d.jsonl", "a", encoding="utf-8") as file:
        file.write("\n{broken\n")

    assert cli.main(["inspect", "d.jsonl"]) == 0
    assert "line 3" in capsys.readouterr().out


def test_doctor_reports_and_judges(monkeypatch, capsys):
    """A failing check that training needs is exit code 1 and comes with its cure; advice is not a failure."""
    fine = Check(name="python", findings=[found("python_fine", version="3.11", executable="python")])
    advice = Check(name="hub", findings=[found("hub_out_of_reach", endpoint="https://hub", error="refused")], required=False)
    broken = Check(name="packages", findings=[found("package_missing", name="peft", command="pip install 'peft'")])

    for checks, code in (([fine, advice], 0), ([fine, advice, broken], 1)):
        monkeypatch.setattr("tui.commands.doctor.run_checks", lambda *_, checks=checks, **__: checks)
        assert cli.main(["doctor"]) == code
    assert "peft is not installed" in (told := capsys.readouterr().out) and "cure: pip install 'peft'" in told

    cli.main(["--lang", "zh", "doctor"])
    told = capsys.readouterr().out
    assert all(words in told for words in ("未安装 peft", "无法访问 https://hub：refused", "办法：pip install 'peft'"))


def test_the_doctor_tells_scripts_the_same_in_every_language(monkeypatch, capsys):
    """Codes and facts, and the English sentences."""
    broken = Check(name="packages", findings=[found("package_missing", name="peft", command="pip install 'peft'")])
    monkeypatch.setattr("tui.commands.doctor.run_checks", lambda *_, **__: [broken])

    assert cli.main(["--lang", "zh", "doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["checks"] == [{
        "name": "packages", "ok": False, "required": True, "detail": "peft is not installed", "cure": "pip install 'peft'",
        "findings": [{"code": "package_missing", "facts": {"name": "peft", "command": "pip install 'peft'"}}],
    }]  # fmt: skip


def test_fetching_what_is_here_gives_its_folder(here, capsys):
    """A complete local folder needs no network; its path is the data."""
    for name, text in (("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "")):
        (here / name).write_text(text, encoding="utf-8")

    assert cli.main(["fetch", str(here)]) == 0
    assert capsys.readouterr().out == f"{here}\n"

"""Starting and resuming: what is checked before a run directory exists, and that nothing is left half started."""

import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import DanluError, DataError
from engine import events
from engine.config_file import Document
from engine.errors import ConfigError, EnvironmentFault, ModelError, RunError
from engine.run_directory import RunDirectory
from tests.engine_runs import write_records
from tests.fake_engine import FINISHED, STARTED, engine, write
from tui import start
from tui.start import resolved, resume_run, start_run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder with a data file."""
    monkeypatch.chdir(tmp_path)
    write_records(tmp_path / "d.jsonl", 3)
    return tmp_path


def document(*lines: str, path: Path | None = None) -> Document:
    return Document("\n".join(lines), path)


@pytest.mark.parametrize(
    ("lines", "error", "says"),
    [
        (["[model]", "name = 'demo'"], ConfigError, "data.path"),
        (["[data]", "path = 'missing.jsonl'"], DataError, "missing.jsonl"),
        (["[data]", "path = 'd.jsonl'", "eval_path = 'missing.jsonl'"], DataError, "missing.jsonl"),
        (["[data]", "path = 'empty.jsonl'"], DataError, "empty.jsonl"),
        (["[data]", "path = 'd.jsonl'", "[model]", "name = './nowhere'"], ModelError, "nowhere"),
        (["[data]", "path = 'd.jsonl'", "[model]", "name = 'empty'"], ModelError, "config.json"),
        (["[data]", "path = 'd.jsonl'", "[model]", "name = 'two words'"], ModelError, "two words"),
    ],
)
def test_what_is_wrong_is_said_before_there_is_a_run(here, lines, error, says):
    """Data and model are checked first, and a refused start leaves no directory."""
    (here / "empty.jsonl").touch()
    (here / "empty").mkdir()

    with pytest.raises(error, match=says):
        start_run(document(*lines))
    assert not (here / "runs").exists()


def test_engine_that_ends_at_once_leaves_no_run(here, monkeypatch):
    """Its last words are in the message, because its log goes with the directory."""

    def broken(run: RunDirectory) -> subprocess.Popen:
        with open(run.engine_log, "wb") as log:
            return subprocess.Popen([sys.executable, "-c", "raise SystemExit('no libm.so.6')"], stderr=log)

    monkeypatch.setattr(start, "launch_engine", broken)

    with pytest.raises(EnvironmentFault, match=r"no libm\.so\.6"):
        start_run(document("[data]", "path = 'd.jsonl'"), name="one")
    assert not (here / "runs" / "one").exists()


def test_engine_that_cannot_be_launched_leaves_no_run(here, monkeypatch):
    """A machine without room for one more process says so; the name stays free."""

    def refused(run: RunDirectory) -> subprocess.Popen:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(start, "launch_engine", refused)

    with pytest.raises(OSError, match="Resource"):
        start_run(document("[data]", "path = 'd.jsonl'"), name="one")
    assert not (here / "runs" / "one").exists()


def test_name_in_use_is_refused(here):
    """A second run never writes into the first one's directory."""
    (here / "runs" / "one").mkdir(parents=True)

    with pytest.raises(RunError, match="exists"):
        start_run(document("[data]", "path = 'd.jsonl'"), name="one")


def test_data_lies_beside_the_configuration_or_here(here):
    """A path is looked for beside the file that says it first, then in the current folder."""
    folder = here / "configs"
    folder.mkdir()
    write_records(folder / "near.jsonl", 1)
    made = document("[data]", "path = 'near.jsonl'", "eval_path = 'd.jsonl'", path=folder / "c.toml")

    values = resolved(made).data

    assert (values.path, values.eval_path) == (str(folder / "near.jsonl"), str(here / "d.jsonl"))


def test_runs_go_where_the_document_says_else_where_the_console_lists_them(here):
    """`runs_dir` is for documents that leave the folder open."""
    open_ended, fixed = document(), document("[run]", "output_dir = 'mine'")

    assert resolved(open_ended, Path("theirs")).run.output_dir == str(here / "theirs")
    assert resolved(fixed, Path("theirs")).run.output_dir == str(here / "mine")


def test_folder_called_demo_does_not_hide_the_demo(here):
    """Reserved names stay what they are wherever Danlu is started."""
    (here / "demo").mkdir()

    assert resolved(document("[model]", "name = 'demo'", path=here / "c.toml")).model.name == "demo"


def test_live_run_is_not_resumed(run_dir):
    """One engine a run directory."""
    with engine(run_dir, STARTED), pytest.raises(RunError, match="already running"):
        resume_run(run_dir)


def test_finished_run_is_not_resumed(run_dir):
    """There is nothing left to do, and the message says where the result is."""
    write(run_dir, STARTED, FINISHED)

    with pytest.raises(RunError, match="final_model"):
        resume_run(run_dir)


@pytest.mark.parametrize("length", ["max_steps = 6", "num_epochs = 2.0"])
def test_how_a_finished_run_is_made_longer_is_told_by_its_own_key(run_dir, length):
    """One that max_steps ends would end there however many epochs it were given."""
    write(run_dir, STARTED, FINISHED)
    run_dir.config.write_text(f"[train]\n{length}\n", encoding="utf-8")

    with pytest.raises(RunError, match=f"train.{length}, danlu resume .* --set train.{length.partition(' ')[0]}=N"):
        resume_run(run_dir)


def test_resume_checks_what_may_have_gone(here):
    """A data file that was deleted meanwhile is said at once, not by an engine seconds later."""
    run = RunDirectory(here)
    write(run, STARTED, events.EngineStopped(reason="stopped", exit_code=3))
    run.config.write_text("[data]\npath = '/nowhere/d.jsonl'\n", encoding="utf-8")

    with pytest.raises(DanluError, match=r"/nowhere/d\.jsonl"):
        resume_run(run)

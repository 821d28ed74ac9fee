"""What a list says of a run, from the end of its events."""

import math

from engine import events
from engine.run_directory import RunDirectory
from tests.fake_engine import FINISHED, STARTED, engine, step, write
from tui.summary import END_BYTES, reference, summarise


def test_summary_of_a_long_run_reads_only_its_end(run_dir):
    """Steps far from the end don't matter: the newest are in the last bytes."""
    write(run_dir, STARTED, *(step(number, loss=1 / number, max_steps=2000) for number in range(1, 2001)), FINISHED)

    summary = summarise(run_dir)

    assert run_dir.events.stat().st_size > END_BYTES and summary.last_eval is None
    assert (summary.status, summary.step, summary.loss, summary.last_seq) == ("finished", 2000, 1 / 2000, 2001)


def test_an_evaluation_far_from_the_end_is_still_the_newest_one(run_dir):
    """With many steps between two of them, a list would show none; text that looks like one is not taken for it."""
    evals = [events.Eval(step=number, loss=number, thinking_loss=None, answer_loss=None, perplexity=1.0, supervised_tokens=1, examples=1,
                         seconds=1.0) for number in (1, 2)]  # fmt: skip
    fake = events.SampleText(id="1", offset=0, text='{"type":"eval","step":9}\n{"type":"eval"')
    write(run_dir, STARTED, *evals, fake, *(step(number, loss=1.0, max_steps=2000) for number in range(1, 2001)))

    last = summarise(run_dir).last_eval

    assert last is not None and last.step == 2


def test_run_without_events_has_died_at_its_start(run_dir):
    """A directory that no engine ever wrote into is no live run."""
    run_dir.config.touch()

    summary = summarise(run_dir)

    assert (summary.status, summary.step, summary.exit_code, summary.can_resume) == ("died", 0, 1, True)


def test_live_run_has_no_exit_code(run_dir):
    """While the lock is held a run is live, whatever its last word was before a resume."""
    write(run_dir, STARTED, step(1), events.EngineStopped(reason="stopped", exit_code=3, step=1))

    with engine(run_dir, events.EngineStarted(start_id="2", pid=2, versions={}, resumed_step=1)):
        summary = summarise(run_dir)

    assert (summary.is_alive, summary.can_resume, summary.loss) == (True, False, 2.0)


def test_a_run_has_ended_with_the_last_word_of_its_engine(run_dir):
    """Its lock is let go only when the process is gone, which takes seconds on a busy machine; nobody is told then that the run goes on."""
    with engine(run_dir, STARTED, step(1), events.EngineStopped(reason="stopped", exit_code=3, step=1)):
        summary = summarise(run_dir)

    assert (summary.is_alive, summary.exit_code, summary.can_resume) == (False, 3, True)


def test_loss_that_is_no_number_is_kept_apart_from_none(run_dir):
    """A run that blew up shows it instead of an older loss."""
    write(run_dir, STARTED, step(1), step(2, loss=math.nan), events.EngineStopped(reason="failed", exit_code=1, step=2, error="not finite"))

    summary = summarise(run_dir)

    assert summary.loss is not None and math.isnan(summary.loss)
    assert summary.error == "not finite"


def test_run_is_named_so_that_the_shell_finds_it(tmp_path, monkeypatch):
    """A run in the current folder's runs goes by its name, another by its path, quoted."""
    monkeypatch.chdir(tmp_path)

    assert reference(RunDirectory(tmp_path / "runs" / "one")) == "one"
    assert reference(RunDirectory(tmp_path / "my runs" / "one")) == "'my runs/one'"

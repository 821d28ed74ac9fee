"""The engine as a process: signals, kills, the lock, exit codes, what is left behind."""

import os
import signal

import pytest

from engine import events, launch
from engine.launch import launch_engine
from tests.engine_runs import all_events, losses, make_run, of_type, start_engine, train_here, write_records
from tests.patience import ended, wait_until
from tests.tiny_models import tiny_model

LONG = {"train": {"max_steps": 400, "num_epochs": 400}, "checkpoint": {"every_steps": 5}, "eval": {"every_steps": 0}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("data") / "records.jsonl")


def test_a_killed_run_resumes_to_the_same_bits(model, data, tmp_path):
    """kill -9 at two moments, then to the end: every loss is that of the run nobody disturbed."""
    short = {"train": {"max_steps": 40}, "checkpoint": {"every_steps": 3}}
    whole = make_run(tmp_path, model, data, "whole", **short)
    train_here(whole)
    run = make_run(tmp_path, model, data, "killed", **short)
    for at in (5, 14):
        engine = start_engine(run)
        wait_until(lambda at=at: max(losses(run), default=0) >= at, f"step {at}")
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    engine = start_engine(run)

    assert ended(engine, "the engine") == 0
    assert losses(run) == losses(whole)
    assert [event.seq for event in all_events(run)] == list(range(len(all_events(run))))
    assert of_type(run, events.EngineStarted)[-1].resumed_step >= 9


def test_a_signal_stops_after_the_step_with_a_checkpoint(model, data, tmp_path):
    """SIGHUP changes nothing, SIGTERM ends with exit code 130 and a checkpoint of the last step."""
    run = make_run(tmp_path, model, data, **LONG)
    engine = start_engine(run)
    wait_until(lambda: losses(run), "a step")
    engine.send_signal(signal.SIGHUP)
    seen = max(losses(run))
    wait_until(lambda: max(losses(run)) > seen + 1, "steps after the hang-up")
    engine.send_signal(signal.SIGTERM)

    assert ended(engine, "the engine") == 130
    stopped = all_events(run)[-1]
    assert isinstance(stopped, events.EngineStopped) and stopped.reason == "interrupted"
    assert run.checkpoint(stopped.step).is_dir() and not run.is_alive()


def test_a_stop_command_ends_with_exit_code_3_and_a_second_engine_is_refused(model, data, tmp_path):
    """Launched detached as the console does it, under a supervisor; while it runs the lock keeps another engine out (exit code 2)."""
    run = make_run(tmp_path, model, data, **LONG)
    engine = launch_engine(run)
    wait_until(lambda: losses(run), "a step")
    assert os.getsid(engine.pid) == os.getsid(run.holder()) == engine.pid
    assert run.holder() != engine.pid

    second = start_engine(run)
    assert ended(second, "the second engine") == 2
    assert "already running" in run.engine_log.read_text()

    launch.send(run, "pause")
    wait_until(lambda: of_type(run, events.Paused), "the pause")
    launch.send(run, "stop")
    assert ended(engine, "the engine") == 3
    assert [answer.ok for answer in of_type(run, events.CommandDone)] == [True, True]


def test_a_failure_is_one_message_and_the_traceback_stays_in_the_log(model, tmp_path):
    """A data file that is gone: exit code 2, the file named in the last event, no traceback anywhere."""
    run = make_run(tmp_path, model, tmp_path / "gone.jsonl")
    engine = start_engine(run)

    assert ended(engine, "the engine") == 2
    stopped = all_events(run)[-1]
    assert isinstance(stopped, events.EngineStopped) and "gone.jsonl" in stopped.error
    assert "Traceback" not in run.engine_log.read_text()

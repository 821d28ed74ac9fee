"""Texts looked at by several processes: the same findings as by one, and nothing left behind."""

import os
import signal

import pytest

from data import text_processes
from data.reading import read_file
from data.text_checks import look_at_texts
from data.text_processes import TextLooker
from tests.conftest import PROJECT

BUNDLED = PROJECT / "data" / "bundled" / "crypto_zh.jsonl"


@pytest.fixture
def several(monkeypatch):
    """Few records are many, so that processes are started for them."""
    monkeypatch.setattr(text_processes, "MANY", 2)
    monkeypatch.setattr(text_processes, "_SHARE", 50)


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    processes = []
    start = text_processes._start
    monkeypatch.setattr(text_processes, "_start", lambda: processes.append(start()) or processes[-1])
    return processes


def _look(records, progress=None, after_first=lambda: None):
    with TextLooker(len(records), processes=2) as looker:
        for record in records:
            looker.add(record)
            if record.index == 50:
                after_first()
        return looker.texts(progress)


def test_several_processes_find_what_one_finds(several, started):
    """Remarks, languages, scripts and terms are equal, in the same order, and every process has ended."""
    records = read_file(BUNDLED).records
    told = []
    found = _look(records, lambda done, total: told.append((done, total)))
    alone = look_at_texts(records)

    assert found == alone and list(found.terms) == list(alone.terms) and list(found.remarks) == list(alone.remarks)
    assert told[-1] == (len(records), len(records)) and len(started) == 2 and all(one.returncode is not None for one in started)


def test_a_process_that_dies_loses_nothing(several, started):
    """What it was asked is looked at by whoever asked."""
    records = read_file(BUNDLED).records

    assert _look(records, after_first=lambda: os.kill(started[0].pid, signal.SIGKILL)) == look_at_texts(records)


def test_work_that_is_stopped_leaves_no_process(several, started):
    """`progress` raises to stop; the processes are gone when the error arrives."""

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _look(read_file(BUNDLED).records, stop)

    assert started and all(one.returncode is not None for one in started)


def test_a_process_ends_with_the_pipe_of_whoever_started_it():
    """Nobody outlives a console that is killed."""
    process = text_processes._start()
    process.stdin.close()

    assert process.wait(timeout=60) == 0
    process.stdout.close()

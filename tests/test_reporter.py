"""What the engine reports to beside its queue: nothing there may end a run."""

import errno
import sys
import types

import pytest

from engine import events
from engine.errors import EnvironmentFault
from engine.reporter import Reporter
from tests.engine_runs import of_type
from tests.fake_engine import FINISHED, step


class FullDisk:
    """Stands for TensorBoard's writer, whose own thread writes: what stopped it is raised at the next point."""

    def __init__(self, folder: str):
        self.points = 0

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.points += 1
        if step > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        pass


class NoFolder(FullDisk):
    """Cannot even begin."""

    def __init__(self, folder: str):
        raise OSError(errno.EROFS, "Read-only file system")


def reporter_with(run_dir, monkeypatch, writer: type) -> Reporter:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=writer))
    return Reporter(run_dir)


def test_a_disk_that_refuses_tensorboard_costs_its_curves_and_not_the_run(run_dir, monkeypatch):
    """One warning, and every event is in the queue."""
    reporter = reporter_with(run_dir, monkeypatch, FullDisk)
    reporter.open_tensorboard()
    for number in (1, 2, 3):
        reporter.emit(step(number))
    reporter.close(FINISHED)

    assert [event.step for event in of_type(run_dir, events.Step)] == [1, 2, 3]
    assert [warning.code for warning in of_type(run_dir, events.Warning)] == ["tensorboard_lost"]


def test_tensorboard_that_cannot_begin_is_said_with_its_cure(run_dir, monkeypatch):
    """Asked for and impossible is the user's to decide, before anything is trained."""
    with pytest.raises(EnvironmentFault, match=r"Read-only file system; .*track\.tensorboard = false"):
        reporter_with(run_dir, monkeypatch, NoFolder).open_tensorboard()

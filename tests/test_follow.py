"""Following a run: all events once, in order, and whether its engine lives."""

import threading

from engine import events
from engine.engine_log import TAIL_BYTES, last_lines
from tests.console_runs import beginning, engine_alive, make_run, step, write
from tui.fold import RunState, fold_all
from tui.follow import Follower, FollowThread, Progress, Replayed


class Inbox:
    """Receives a follower's updates; `wait` returns once one meets a condition."""

    def __init__(self):
        self.updates = []
        self._arrived = threading.Condition()

    def receive(self, update):
        with self._arrived:
            self.updates.append(update)
            self._arrived.notify_all()

    def wait(self, condition):
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(condition(update) for update in self.updates), timeout=20)


def test_every_event_is_handed_out_once_and_in_order(tmp_path):
    """What a follower polls before and after more is written is the whole log."""
    run = make_run(tmp_path, "a", beginning())
    follower = Follower(run)
    first = follower.poll()
    write(run, [step(1), step(2)])
    second = follower.poll()

    assert [event.seq for event in first + second] == list(range(len(beginning()) + 2))
    assert follower.poll() == []


def test_a_run_without_an_engine_has_ended_once_all_is_read(tmp_path):
    """Not before: the last word may still lie unread."""
    follower = Follower(make_run(tmp_path, "a", beginning()))

    assert not follower.ended

    follower.poll()
    assert follower.ended


def test_a_live_engine_is_seen(tmp_path):
    """Alive is: the lock is held."""
    run = make_run(tmp_path, "a", beginning())
    with engine_alive(run):
        follower = Follower(run)
        follower.poll()

        assert follower.is_alive
        assert not follower.ended


def test_an_engine_just_launched_is_awaited(tmp_path):
    """Until it takes its lock, which needs Python to start, the run is starting and not dead."""
    follower = Follower(make_run(tmp_path, "a", []), just_launched=True)
    follower.poll()

    assert follower.is_starting
    assert not follower.ended


def test_the_thread_replays_then_follows(tmp_path):
    """First the state so far as one update, then what comes."""
    run, inbox = make_run(tmp_path, "a", [*beginning(), step(1)]), Inbox()
    with engine_alive(run):
        thread = FollowThread(run, inbox.receive)
        thread.start()
        inbox.wait(lambda update: isinstance(update, Replayed))
        write(run, [step(2)])
        inbox.wait(lambda update: isinstance(update, Progress) and update.events)
        thread.stop()
    replayed, *later = inbox.updates
    state = fold_all(replayed.state, [event for update in later for event in update.events])

    assert replayed.is_alive
    assert state.step.step == 2
    assert state.missed == 0


def test_a_log_begun_anew_is_replayed_from_its_start(tmp_path):
    """A reader whose file has become shorter than what it read begins again instead of waiting for ever."""
    run, inbox = make_run(tmp_path, "a", [*beginning(), step(1)]), Inbox()
    with engine_alive(run):
        thread = FollowThread(run, inbox.receive)
        thread.start()
        inbox.wait(lambda update: isinstance(update, Replayed))
        run.events.unlink()
        write(run, beginning()[:2])
        inbox.wait(lambda update: isinstance(update, Replayed) and update.state.last_seq == 1)
        thread.stop()


def test_the_end_of_the_engine_log_is_kept_and_survives_broken_text(tmp_path):
    """A crash is explained by the last lines, whatever bytes they hold."""
    run = make_run(tmp_path, "a", [])
    run.engine_log.write_bytes(b"x" * 2 * TAIL_BYTES + b"\nline \xff\n\nSegmentation fault\n")

    assert last_lines(run) == ["line �", "Segmentation fault"]


def test_replaying_in_two_reads_equals_one(tmp_path):
    """A log that is longer than one read of the tail gives the same state."""
    run = make_run(tmp_path, "a", [*beginning(500), *[step(n, 500) for n in range(1, 501)]])
    state = fold_all(RunState(), Follower(run).poll())

    assert (len(state.series), state.missed) == (500, 0)
    assert isinstance(state.engine, events.EngineStarted)

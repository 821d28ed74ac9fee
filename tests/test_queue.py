"""The durable queue: gapless, torn-proof, never raising, any number of readers."""

import contextlib
import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading

import pytest

from engine import commands, events, queue
from engine.queue import EventWriter, Tail, append_command
from tui.fold import RunState, fold_all


def read_all(path):
    return Tail(path, events.decode).read()


def test_reader_waits_for_the_newline(run_dir):
    """A half-written event is not returned until its line is complete."""
    run_dir.events.write_bytes(b'{"type":"phase","seq":0,"time":1.0,"na')
    tail = Tail(run_dir.events, events.decode)

    assert tail.read() == []
    assert tail.offset == 0

    with open(run_dir.events, "ab") as file:
        file.write(b'me":"load"}\n')
    assert [event.name for event in tail.read()] == ["load"]


def test_a_torn_last_line_is_cut_and_seq_goes_on(run_dir):
    """A writer killed in mid-line leaves no gap and no garbage for the next one."""
    first = EventWriter(run_dir.events)
    first.emit(events.Phase(name="load"))
    first.emit(events.Phase(name="train"))
    first.close()
    with open(run_dir.events, "ab") as file:
        file.write(b'{"type":"phase","seq":2,"ti')

    second = EventWriter(run_dir.events)
    second.emit(events.Phase(name="save"))
    second.close()

    assert [(event.seq, event.name) for event in read_all(run_dir.events)] == [(0, "load"), (1, "train"), (2, "save")]


def test_a_name_that_is_no_text_is_told_all_the_same(run_dir):
    """A file name may hold bytes that are no UTF-8; emitting never raises, whatever is in a message."""
    writer = EventWriter(run_dir.events)
    writer.emit(events.Warning(code="x", text="数据\udcff.jsonl: no such file"))
    writer.emit(events.Ranks(step=1, strategy="ddp", ranks=[events.RankLoad(rank=0, host="\udc80", work_s=math.nan, rss_gib=1.0)]))
    writer.close()

    warning, ranks = (json.loads(line) for line in run_dir.events.read_bytes().splitlines())
    assert (warning["text"], warning["seq"]) == ("数据?.jsonl: no such file", 0)
    assert (ranks["ranks"][0]["host"], ranks["ranks"][0]["work_s"]) == ("?", None)


def test_a_full_disk_holds_events_back_and_loses_none(run_dir, monkeypatch):
    """While writes are refused nothing raises; once there is room all events arrive in order."""
    writer = EventWriter(run_dir.events)
    real_write = os.pwrite

    def refuse(file, data, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    for index in range(5):
        writer.emit(events.Phase(name="train", done=index))
    monkeypatch.setattr(os, "pwrite", real_write)
    writer.emit(events.Phase(name="train", done=5))
    writer.close()

    assert [(event.seq, event.done) for event in read_all(run_dir.events)] == [(n, n) for n in range(6)]


def test_a_half_written_line_on_a_full_disk_is_taken_back(run_dir, monkeypatch):
    """A short write leaves no torn line between two whole ones."""
    writer = EventWriter(run_dir.events)
    real_write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: real_write(file, data[:7], offset))
    writer.emit(events.Phase(name="load"))
    monkeypatch.setattr(os, "pwrite", real_write)
    writer.emit(events.Phase(name="train"))
    writer.close()

    assert [event.name for event in read_all(run_dir.events)] == ["load", "train"]


def test_a_part_that_cannot_be_taken_back_is_written_over(run_dir, monkeypatch):
    """A disk that neither takes a whole line nor lets the half be cut off spoils no later event."""
    writer = EventWriter(run_dir.events)
    writer.emit(events.Phase(name="load"))
    real_write, real_truncate = os.pwrite, os.ftruncate

    def refuse(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: real_write(file, data[:9], offset))
    monkeypatch.setattr(os, "ftruncate", refuse)
    writer.emit(events.Phase(name="train"))
    monkeypatch.setattr(os, "pwrite", real_write)
    monkeypatch.setattr(os, "ftruncate", real_truncate)
    writer.emit(events.Phase(name="save"))
    writer.close()

    assert [(event.seq, event.name) for event in read_all(run_dir.events)] == [(0, "load"), (1, "train"), (2, "save")]


def test_what_memory_had_no_room_for_is_counted(run_dir, monkeypatch):
    """A disk that stays full costs the machine's load first; the gap in seq is as wide as the warning says."""
    monkeypatch.setattr(queue, "HELD_BACK", 10)
    writer = EventWriter(run_dir.events)
    real_write = os.pwrite

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    for number in range(20):
        writer.emit(events.Hardware(gpus=[], rss_gib=1.0, cpu_percent=1.0) if number % 2 else events.Phase(name="train", done=number))
    monkeypatch.setattr(os, "pwrite", real_write)
    writer.emit(events.Phase(name="save"))
    lost = writer.close()
    written = read_all(run_dir.events)

    assert lost == 0
    assert [event.done for event in written if isinstance(event, events.Phase) and event.name == "train"] == list(range(2, 20, 2))
    assert isinstance(written[-1], events.Warning) and written[-1].code == "events_lost" and " 11 events" in written[-1].text
    assert fold_all(RunState(), written).missed == 11


def test_a_disk_that_stays_full_is_told_at_the_end(run_dir, monkeypatch):
    """What could not be written by the end is counted, for the engine to say."""
    writer = EventWriter(run_dir.events)

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    writer.emit(events.Phase(name="train"))

    assert writer.close() == 1


@pytest.mark.parametrize("size", [10, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_torn_line_of_any_length_is_cut_whole(run_dir, size):
    """A sample of megabytes cut off by a kill leaves neither its half nor a restarted numbering."""
    writer = EventWriter(run_dir.events)
    writer.emit(events.Phase(name="load"))
    writer.close()
    with open(run_dir.events, "ab") as file:
        file.write(b'{"type":"sample_text","text":"' + b"x" * size)
    second = EventWriter(run_dir.events)
    second.emit(events.Phase(name="train"))
    second.close()

    assert [(event.seq, event.name) for event in read_all(run_dir.events)] == [(0, "load"), (1, "train")]


def test_numbering_goes_on_behind_lines_that_are_no_events(run_dir):
    """However much garbage a foreign hand appended, the last real event counts."""
    writer = EventWriter(run_dir.events)
    writer.emit(events.Phase(name="load"))
    writer.close()
    with open(run_dir.events, "ab") as file:
        file.write(b"garbage\n" * 300_000)
    second = EventWriter(run_dir.events)
    second.emit(events.Phase(name="train"))
    second.close()

    assert [event.seq for event in read_all(run_dir.events)] == [0, 1]


def test_a_command_behind_an_unfinished_one_is_understood(run_dir):
    """A console whose disk was full spoils only its own command."""
    run_dir.commands.write_bytes(b'{"id":"torn","ti')
    append_command(run_dir.commands, commands.Command(id="1", time=0.0, type="stop"))

    assert [command.id for command in Tail(run_dir.commands, commands.decode).read()] == ["1"]


def test_a_command_written_in_part_is_an_error(run_dir, monkeypatch):
    """The console says that it did not go out, instead of waiting for an answer."""
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real_write(file, data[:5]))

    with pytest.raises(OSError, match="No space"):
        append_command(run_dir.commands, commands.Command(id="1", time=0.0, type="stop"))


def test_readers_at_different_places_each_get_everything(run_dir):
    """One that reads often, one that reads late and one that begins in the middle see the same events."""
    writer, often = EventWriter(run_dir.events), Tail(run_dir.events, events.decode)
    seen, middle = [], None
    for number in range(100):
        writer.emit(events.Phase(name="train", done=number))
        seen += often.read(64)
        if number == 50:
            middle = Tail(run_dir.events, events.decode, run_dir.events.stat().st_size)
    writer.close()
    while batch := often.read():
        seen += batch

    assert [event.done for event in seen] == [event.done for event in read_all(run_dir.events)] == list(range(100))
    assert [event.done for event in middle.read()] == list(range(51, 100))


def test_a_signal_at_any_moment_neither_doubles_an_event_nor_leaves_a_gap(run_dir):
    """A second signal stops the engine at once, in the middle of telling something too; its last words then follow."""

    class Left(BaseException):
        pass

    def leave(*_: object) -> None:
        raise Left

    before, told = signal.signal(signal.SIGALRM, leave), 0
    writer = EventWriter(run_dir.events)
    try:
        for number in range(400):
            with contextlib.suppress(Left):
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + number % 40))
                while True:
                    writer.emit(events.Phase(name="train", done=told))
                    told += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert writer.close() == 0

    found = read_all(run_dir.events)
    assert [event.seq for event in found] == list(range(len(found)))
    # Left after the event was written and before it was counted, it is told twice, by two calls.
    assert told <= len(found) <= told + 400


def test_threads_share_one_writer_without_gaps(run_dir):
    """The loop and the hardware sampler emit at once; seq stays 0, 1, 2 … in file order."""
    writer = EventWriter(run_dir.events)

    def many():
        for _ in range(200):
            writer.emit(events.Phase(name="train"))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    assert [event.seq for event in read_all(run_dir.events)] == list(range(800))


def test_unknown_events_and_garbage_are_survived(run_dir):
    """An event of a newer engine is kept whole; a line that is no event is passed over."""
    unknown, known = b'{"type":"telepathy","seq":0,"time":1.0,"mood":"good"}', b'{"type":"phase","seq":1,"time":2.0,"name":"load"}'
    run_dir.events.write_bytes(unknown + b"\nnot json\n" + known + b"\n")

    unknown, phase = read_all(run_dir.events)

    assert isinstance(unknown, events.Unknown)
    assert unknown.fields["mood"] == "good"
    assert phase.name == "load"


def test_a_non_finite_loss_is_still_an_event(run_dir):
    """NaN cannot be written as JSON; the event must not be lost for it."""
    writer = EventWriter(run_dir.events)
    unlearned = {"thinking_loss": None, "answer_loss": None, "perplexity": 1.0, "supervised_tokens": 1, "examples": 1, "seconds": 0.1}
    writer.emit(events.Eval(step=1, loss=float("nan"), **unlearned))
    writer.close()

    (event,) = read_all(run_dir.events)
    assert event.seq == 0


def test_commands_of_two_consoles_never_mix(run_dir):
    """Two processes append at once; every command arrives whole."""
    program = (
        "import sys; from pathlib import Path; from engine import commands, queue\n"
        "for n in range(100):\n"
        "    command = commands.Command(id=f'{sys.argv[2]}-{n}', time=0.0, type='sample', prompt='问' * 50)\n"
        "    queue.append_command(Path(sys.argv[1]), command)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(run_dir.commands), name]) for name in ("a", "b")]
    assert [process.wait() for process in processes] == [0, 0]

    received = Tail(run_dir.commands, commands.decode).read()
    assert sorted(command.id for command in received) == sorted(f"{name}-{n}" for name in "ab" for n in range(100))


@pytest.mark.parametrize("line", [b"", b"{}", b'{"id":"x","time":0,"type":"explode"}', b'{"id":1,"time":0,"type":"stop"}', b"\xff\xfe"])
def test_what_is_no_command_is_none(line):
    """Torn, foreign or wrongly typed lines never become commands."""
    assert commands.decode(line) is None


def test_append_command_tells_when_it_cannot(tmp_path):
    """The console must be able to say that the command did not go out."""
    with pytest.raises(OSError):
        append_command(tmp_path / "missing" / "commands.jsonl", commands.Command(id="1", time=0.0, type="stop"))

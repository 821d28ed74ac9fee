"""An engine without training for tests of what watches one: holds the lock, writes events, answers stop."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine import commands, events
from engine.queue import EventWriter, Tail
from engine.run_directory import RunDirectory, RunLock

STARTED = events.EngineStarted(start_id="1", pid=1, versions={})
FINISHED = events.EngineStopped(reason="finished", exit_code=0, step=4)
PATIENCE_S = 20.0


def step(number: int, loss: float = 2.0, max_steps: int = 4) -> events.Step:
    """One step event."""
    return events.Step(
        step=number, max_steps=max_steps, epoch=1.0, loss=loss, thinking_loss=None, answer_loss=loss, learning_rate=1e-4, grad_norm=1.0,
        tokens_seen=10 * number, supervised_tokens=5 * number, tokens_per_s=100.0, step_s=1.0, peak_memory_gib=1.0,
    )  # fmt: skip


def write(run: RunDirectory, *what: events.Event) -> RunDirectory:
    """Append events to a run that no engine is at; the run gets a configuration, so that it is found."""
    run.config.touch()
    writer = EventWriter(run.events)
    for event in what:
        writer.emit(event)
    writer.close()
    return run


@contextmanager
def engine(run: RunDirectory, *first: events.Event, then: Callable[[], None] | None = None) -> Iterator[list[commands.Command]]:
    """A live engine that has written `first`; then it calls `then`, waits for a stop command, obeys it and ends.

    Gives the list of commands it has received.
    """
    run.config.touch()
    received: list[commands.Command] = []
    leave = threading.Event()
    lock, writer = RunLock(run), EventWriter(run.events)
    for event in first:
        writer.emit(event)

    def live() -> None:
        if then is not None:
            then()
        tail = Tail(run.commands, commands.decode)
        while not leave.wait(0.01):
            received.extend(tail.read())
            for command in received:
                if command.type == "stop":
                    writer.emit(events.CommandDone(id=command.id, command="stop", ok=True))
                    writer.emit(events.EngineStopped(reason="stopped", exit_code=3, step=2))
                    leave.set()
        writer.close()
        os.close(lock._file)  # a real engine's lock goes with its process

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield received
    finally:
        leave.set()
        thread.join(PATIENCE_S)

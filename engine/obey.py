"""What the engine does when a console asks: every command is carried out between two steps and answered once.

Not here: reading the commands (`engine.control`), the work itself (`engine.trainer`).
"""

import time
from typing import Protocol

from engine import events
from engine.commands import Command
from engine.control import Control

PAUSE_POLL_S = 0.2
NO_EVALUATION = "there is no evaluation data"
NO_PROMPT = "no prompt was given and none is configured"
LONG_PROMPT = "the prompt takes {tokens} tokens, more than data.max_seq_length = {most}; shorten it"
GIVEN_UP = "it was given up: a stop came, or memory ran out"


class Obedient(Protocol):
    """What a run must be able to do to be commanded."""

    step: int
    control: Control

    def emit(self, event: events.Event) -> None: ...

    def save(self) -> bool:
        """Whether the checkpoint is on the disk now."""
        ...

    def evaluate(self) -> str:
        """Why there is no evaluation, "" where it was told."""
        ...

    def sample_on_command(self, id: str, prompt: str) -> str:
        """Answer `prompt`, or the fixed prompts when it is empty; why there is no answer, "" where there is."""
        ...


def obey_commands(run: Obedient) -> str | None:
    """Carry out what consoles have asked for; return the reason when the run is to end."""
    for stale in run.control.stale:
        _answer(run, stale, False, "sent while no engine was running")
    run.control.stale = []
    while not run.control.signalled and (command := run.control.take()):
        if reason := _obey(run, command):
            return reason
    return "interrupted" if run.control.signalled else None


def _obey(run: Obedient, command: Command) -> str | None:
    """Carry out one command and answer it; return "stopped" for stop, "interrupted" when a signal ended a pause."""
    match command.type:
        case "stop":
            _answer(run, command, True, f"stopping after step {run.step}")
            return "stopped"
        case "pause":
            _answer(run, command, True, f"paused after step {run.step}")
            return _wait_for_resume(run)
        case "resume":
            _answer(run, command, False, "the run is not paused")
        case "checkpoint":
            _answer(run, command, *((True, f"saved checkpoint-{run.step}") if run.save() else (False, "the disk refused; see the warning")))
        case "evaluate":
            _answer_unless(run, command, run.evaluate())
        case "sample":
            _answer_unless(run, command, run.sample_on_command(f"{run.step}-{command.id[:8]}", command.prompt))
    return None


def _wait_for_resume(run: Obedient) -> str | None:
    """Hold between two steps; checkpoint, evaluate, sample and stop are obeyed meanwhile."""
    run.emit(events.Paused(paused=True, step=run.step))
    reason = None
    while reason is None and not run.control.signalled:
        command = run.control.take()
        if command is None:
            time.sleep(PAUSE_POLL_S)
        elif command.type == "resume":
            _answer(run, command, True, "")
            break
        elif command.type == "pause":
            _answer(run, command, False, "the run is already paused")
        else:
            reason = _obey(run, command)
    run.emit(events.Paused(paused=False, step=run.step))
    return reason


def _answer_unless(run: Obedient, command: Command, hindrance: str) -> None:
    _answer(run, command, not hindrance, hindrance)


def _answer(run: Obedient, command: Command, ok: bool, reason: str) -> None:
    run.emit(events.CommandDone(id=command.id, command=command.type, ok=ok, reason=reason))

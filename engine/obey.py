"""What the engine does when a console asks: every command is carried out between two steps and answered once.

Not here: reading the commands (`engine.control`), the work itself (`engine.trainer`).
"""

import time
from typing import TYPE_CHECKING

from engine import assembly, events
from engine.commands import Command

if TYPE_CHECKING:
    from engine.trainer import Trainer

PAUSE_POLL_S = 0.2


def obey_commands(trainer: "Trainer") -> str | None:
    """Carry out what consoles have asked for; return the reason when the run is to end."""
    for stale in trainer.control.stale:
        _answer(trainer, stale, False, "sent while no engine was running")
    trainer.control.stale = []
    while not trainer.control.signalled and (command := trainer.control.take()):
        if reason := _obey(trainer, command):
            return reason
    return "interrupted" if trainer.control.signalled else None


def _obey(trainer: "Trainer", command: Command) -> str | None:
    """Carry out one command and answer it; return "stopped" for stop, "interrupted" when a signal ended a pause."""
    match command.type:
        case "stop":
            _answer(trainer, command, True, f"stopping after step {trainer.step}")
            return "stopped"
        case "pause":
            _answer(trainer, command, True, f"paused after step {trainer.step}")
            return _wait_for_resume(trainer)
        case "resume":
            _answer(trainer, command, False, "the run is not paused")
        case "checkpoint":
            trainer.save()
            _answer(trainer, command, True, f"saved checkpoint-{trainer.step}")
        case "evaluate":
            trainer.evaluate()
            has_data = bool(trainer.parts.eval_examples)
            _answer(trainer, command, has_data, "" if has_data else "there is no evaluation data")
        case "sample":
            _answer(trainer, command, *_sample(trainer, command))
    return None


def _sample(trainer: "Trainer", command: Command) -> tuple[bool, str]:
    """Answer the command's prompt, or the fixed ones when it has none."""
    name = f"{trainer.step}-{command.id[:8]}"
    if command.prompt:
        ids = assembly.prompt_ids(trainer.parts.tokenizer, command.prompt, trainer.config.data.system)
        trainer.answer_prompt(name, command.prompt, ids)
        return True, ""
    for index, (text, ids) in enumerate(trainer.parts.prompts):
        trainer.answer_prompt(f"{name}-{index}", text, ids)
    return (True, "") if trainer.parts.prompts else (False, "no prompt was given and none is configured")


def _wait_for_resume(trainer: "Trainer") -> str | None:
    """Hold between two steps; checkpoint, evaluate, sample and stop are obeyed meanwhile."""
    trainer.emit(events.Paused(paused=True, step=trainer.step))
    reason = None
    while reason is None and not trainer.control.signalled:
        command = trainer.control.take()
        if command is None:
            time.sleep(PAUSE_POLL_S)
        elif command.type == "resume":
            _answer(trainer, command, True, "")
            break
        elif command.type == "pause":
            _answer(trainer, command, False, "the run is already paused")
        else:
            reason = _obey(trainer, command)
    trainer.emit(events.Paused(paused=False, step=trainer.step))
    return reason


def _answer(trainer: "Trainer", command: Command, ok: bool, reason: str) -> None:
    trainer.emit(events.CommandDone(id=command.id, command=command.type, ok=ok, reason=reason))

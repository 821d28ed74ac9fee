"""What is asked of a trained model and what comes back: one JSON line each, over the pipes of a process (`engine.answerer`) that holds it.

Answers are the events of samples and evaluations (`engine.events`); around them stand the few words below. Torch-free. Unlike a run
this process belongs to whoever asks, and ends with them. Which adapter of a run is asked is decided here too.
"""

import json
from pathlib import Path

import msgspec
from msgspec import Struct

from engine import events
from engine.errors import RunError
from engine.manifest import MANIFEST, checkpoint_fault, find_fault, newest_verified
from engine.run_directory import RunDirectory


class Request(Struct, frozen=True, kw_only=True):
    """id: chosen by who asks, and in every answer."""

    id: str


class Ask(Request, tag="ask", frozen=True, kw_only=True):
    """Answer `prompt`.  history: (question, answer) of the conversation so far.  system: None for that of the run's data.

    base: by the model as it was before training.  The rest as in section [sample]; None for what the run's configuration says.
    """

    prompt: str
    history: list[tuple[str, str]] = []
    system: str | None = None
    base: bool = False
    max_new_tokens: int | None = None
    temperature: float | None = None


class Evaluate(Request, tag="evaluate", frozen=True, kw_only=True):
    """Loss and accuracy over the run's own evaluation records, or over all usable records of the file `data`."""

    data: str = ""
    base: bool = False


class Halt(Struct, tag="halt", frozen=True):
    """Give up what is being worked on; what has been generated so far is its answer."""


class Ready(Struct, tag="ready", frozen=True, kw_only=True):
    """The model is loaded. step: of the adapter.  thinking_style: as in `data_summary`."""

    model: str
    step: int
    device: str
    precision: str
    thinking_style: str


class Refused(Struct, tag="refused", frozen=True, kw_only=True):
    """What a request, or the loading (id ""), came to nothing for: one message for people."""

    id: str
    reason: str


class Done(Struct, tag="done", frozen=True, kw_only=True):
    """A request has been answered."""

    id: str


Requests = Ask | Evaluate | Halt
Words = Ready | Refused | Done
Reply = Words | events.Event | events.Unknown


def encode(what: Requests | Reply) -> bytes:
    """One line of UTF-8 JSON, newline included."""
    return events.encode(what) if isinstance(what, events.Event) else msgspec.json.encode(what) + b"\n"


def decode_request(line: bytes) -> Requests | None:
    """None for a line that is none."""
    try:
        return msgspec.json.decode(line, type=Requests)
    except msgspec.MsgspecError:
        return None


def decode_reply(line: bytes) -> Reply | None:
    """None for a line that is none: native libraries may print into the pipe too."""
    try:
        return msgspec.json.decode(line, type=Words)
    except msgspec.MsgspecError:
        return events.decode(line)


def adapter_of(run: RunDirectory, step: int | None = None) -> Path:
    """The folder of the adapter to ask: the final model, else the newest checkpoint that verifies, else that of `step`.

    Raises RunError with what there is instead.
    """
    if step is not None:
        folder = run.checkpoint(step)
        known = ", ".join(one.name.removeprefix("checkpoint-") for one in run.checkpoints()) or "none"
        if not folder.is_dir():
            raise RunError(f"{run.name}: has no checkpoint of step {step}; there are: {known}")
        if fault := checkpoint_fault(folder):
            raise RunError(f"{folder}: does not verify ({fault}); choose another step: {known}")
        return folder
    if run.final_model.is_dir() and find_fault(run.final_model) is None:
        return run.final_model
    folder, _ = newest_verified(run)
    if folder is None:
        raise RunError(f"{run.name}: has saved nothing yet; press k in its live screen for a checkpoint now, or wait for the first")
    return folder


def step_of(adapter: Path) -> int:
    """The step an adapter was saved after; 0 where its folder does not say."""
    try:
        facts = json.loads((adapter / MANIFEST).read_text(encoding="utf-8"))
        return int(facts.get("step", facts.get("steps", 0)))
    except (OSError, ValueError, TypeError):
        return 0

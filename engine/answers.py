"""What is asked of a trained model and what comes back: one JSON line each, over the pipes of a process (`engine.answerer`) that holds it.

Answers are the events of samples and evaluations (`engine.events`); around them stand the few words below. Torch-free. Unlike a run
this process belongs to whoever asks, and ends with them.
"""

import msgspec
from msgspec import Struct

from data.errors import DanluError
from engine import events


class Request(Struct, frozen=True, kw_only=True):
    """id: chosen by who asks, and in every answer to it."""

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
    """Loss and accuracy over the run's own evaluation records, or over all records of the file `data` that the model's context takes.

    columns: of that file, as in section [data]; [] for those of the run's data.
    """

    data: str = ""
    columns: list[str] = []
    base: bool = False


class Halt(Request, tag="halt", frozen=True, kw_only=True):
    """Give up the request of that id; what has been generated so far is its answer."""


class Ready(Struct, tag="ready", frozen=True, kw_only=True):
    """The model is loaded. step: of the adapter.  thinking_style: as in `data_summary`."""

    model: str
    step: int
    device: str
    precision: str
    thinking_style: str


class Refused(Struct, tag="refused", frozen=True, kw_only=True):
    """What a request, or the loading (id ""), came to nothing for: one message for people.  The rest as of a `DanluError`."""

    id: str
    reason: str
    code: str = ""
    facts: dict[str, str] = {}
    exit_code: int = 1


class Done(Struct, tag="done", frozen=True, kw_only=True):
    """A request has been answered."""

    id: str


Requests = Ask | Evaluate | Halt
Words = Ready | Refused | Done
Reply = Words | events.Event | events.Unknown


def refusal(id: str, error: DanluError) -> Refused:
    """That the request `id` came to nothing by `error`."""
    return Refused(id=id, reason=str(error), code=error.code, facts=error.facts, exit_code=error.exit_code)


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

"""Thinking samples: the model answers a prompt, streamed as it is generated, with thinking and answer told apart.

Uses a random generator of its own, so that watching changes no bit of the training.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from data.tokenizer import Tokenizer
from engine import config as schema
from engine import events
from engine.loading import LoadedModel

STREAM_EVERY_S = 0.2
"""Pieces are sent at most this often: fluent to read, and a 4,096-token sample stays a small log."""


@dataclass(frozen=True)
class Parsed:
    """A generation taken apart. See `events.SampleFinished` for the meaning of the flags."""

    thinking: str
    answer: str
    opened: bool
    closed: bool

    @property
    def is_well_formed(self) -> bool:
        clean = not any(tag in text for tag in ("<think>", "</think>") for text in (self.thinking, self.answer))
        return self.opened and self.closed and clean and bool(self.thinking) and bool(self.answer)


def parse_generation(text: str, prompt_opens_thinking: bool) -> Parsed:
    """Thinking is what stands between the opening tag (in the prompt or first in `text`) and the last `</think>`."""
    body = text.lstrip()
    opened = prompt_opens_thinking or body.startswith("<think>")
    if not opened:
        return Parsed("", text.strip(), opened=False, closed=False)
    body = body.removeprefix("<think>")
    thinking, closing, answer = body.rpartition("</think>")
    if not closing:
        return Parsed(body.strip(), "", opened=True, closed=False)
    return Parsed(thinking.strip(), answer.strip(), opened=True, closed=True)


def sample(
    model: LoadedModel, tokenizer: Tokenizer, prompt: str, prompt_ids: Sequence[int], settings: schema.Sample, *,
    id: str, step: int, seed: int, emit: Callable[[events.Event], None], interrupted: Callable[[], bool],
    agree: Callable[[int], int] = int,
) -> events.SampleFinished:  # fmt: skip
    """Answer one prompt, emitting its events; an interrupted sample is finished with what it has.

    agree: one token for all ranks that generate together.
    Returns the finished event (already emitted).
    """
    emit(events.SampleStarted(id=id, prompt=prompt, step=step, max_new_tokens=settings.max_new_tokens))
    began = last_sent = time.perf_counter()
    stream = tokenizer.decode_stream()
    text, sent, count, ended = "", 0, 0, False
    for token in generate(model, prompt_ids, settings, _generator(model.device, seed, prompt), agree):
        count += 1
        ended = token in tokenizer.eos_ids
        if not ended:
            text += stream.push(token)
        now = time.perf_counter()
        if len(text) > sent and now - last_sent >= STREAM_EVERY_S:
            emit(events.SampleText(id=id, offset=sent, text=text[sent:]))
            sent, last_sent = len(text), now
        if ended or interrupted():
            break
    if len(text) > sent:
        emit(events.SampleText(id=id, offset=sent, text=text[sent:]))
    parsed = parse_generation(text, tokenizer.opens_thinking)
    finished = events.SampleFinished(
        id=id, step=step, prompt=prompt, thinking=parsed.thinking, answer=parsed.answer, opened=parsed.opened, closed=parsed.closed,
        well_formed=parsed.is_well_formed and ended, ended=ended, tokens=count, tokens_per_s=count / max(1e-9, time.perf_counter() - began),
    )  # fmt: skip
    emit(finished)
    return finished


@torch.no_grad()
def generate(
    model: LoadedModel, prompt_ids: Sequence[int], settings: schema.Sample, generator: torch.Generator, agree: Callable[[int], int] = int
) -> Iterator[int]:
    """Up to `max_new_tokens` token ids, one at a time; the caller stops at an end token.

    Gradient checkpointing plays no part in evaluation mode, and the training mode is restored when the caller stops.
    """
    extend = model.generation()
    ids = torch.tensor([list(prompt_ids)], device=model.device)
    model.peft.eval()
    try:
        for _ in range(settings.max_new_tokens):
            logits = model.logits(extend(ids)[None])[0]
            token = agree(pick_token(logits, settings, generator))
            yield token
            ids = torch.tensor([[token]], device=model.device)
    finally:
        model.peft.train()


def pick_token(logits: Tensor, settings: schema.Sample, generator: torch.Generator) -> int:
    """One token id from (V,) logits by temperature, then top-k, then top-p; temperature 0 takes the likeliest."""
    if settings.temperature == 0:
        return int(logits.argmax())
    k = min(settings.top_k or len(logits), len(logits))
    top, ids = torch.topk(logits / settings.temperature, k)
    probabilities = torch.softmax(top, dim=0)
    # Keep a token while what stands before it is still under top_p; the first one always stays.
    probabilities[probabilities.cumsum(0) - probabilities >= settings.top_p] = 0.0
    return int(ids[torch.multinomial(probabilities, 1, generator=generator)])


def _generator(device: torch.device, seed: int, prompt: str) -> torch.Generator:
    """The same prompt gets the same random numbers at every step, so that only the model makes the difference."""
    digest = hashlib.blake2b(f"{seed}\0{prompt}".encode("utf-8", "replace"), digest_size=7).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big"))

"""Thinking samples: the model answers a prompt, streamed as it is generated, with thinking and answer told apart.

Uses a random generator of its own, so that watching changes no bit of the training.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Question(NamedTuple):
    """A prompt as it is shown, and its (T) token ids; `id` names the sample in the events."""

    id: str
    prompt: str
    ids: Sequence[int]


def sample(
    model: LoadedModel, tokenizer: Tokenizer, questions: Sequence[Question], settings: schema.Sample, *,
    step: int, seed: int, emit: Callable[[events.Event], None], interrupted: Callable[[], bool], agree: Callable[[int], int] = int,
) -> list[events.SampleFinished]:  # fmt: skip
    """Answer `questions` side by side, a token of each in turn, emitting their events; interrupted ones are finished with what they have.

    agree: one token for all ranks that generate together.
    Returns the finished events (already emitted), in the order of the questions.
    """
    answers = [_Answer(question, tokenizer, settings, step, emit) for question in questions]
    generators = [_generator(model.device, seed, question.prompt) for question in questions]
    prompts = [question.ids for question in questions]
    pick = lambda logits, generator: agree(pick_token(logits, settings, generator))  # noqa: E731
    for tokens in generate(model, prompts, settings.max_new_tokens, generators, pick, tokenizer.eos_ids):
        for number, token in tokens.items():
            answers[number].add(token)
        if interrupted():
            break
    return [answer.finish() for answer in answers]


class _Answer:
    """An answer as it grows."""

    def __init__(
        self, question: Question, tokenizer: Tokenizer, settings: schema.Sample, step: int, emit: Callable[[events.Event], None]
    ):  # fmt: skip
        self._question, self._tokenizer, self._step, self._emit = question, tokenizer, step, emit
        self._stream = tokenizer.decode_stream()
        self._text, self._sent, self._count, self._ended = "", 0, 0, False
        self._finished: events.SampleFinished | None = None
        emit(events.SampleStarted(id=question.id, prompt=question.prompt, step=step, max_new_tokens=settings.max_new_tokens))
        self._began = self._last_sent = time.perf_counter()

    def add(self, token: int) -> None:
        """The next token; an end token finishes it."""
        self._count += 1
        self._ended = token in self._tokenizer.eos_ids
        if self._ended:
            self.finish()
            return
        self._text += self._stream.push(token)
        if time.perf_counter() - self._last_sent >= STREAM_EVERY_S:
            self._send()

    def finish(self) -> events.SampleFinished:
        """Its last event, emitted the first time."""
        if self._finished is None:
            self._send()
            parsed = parse_generation(self._text, self._tokenizer.opens_thinking)
            self._finished = events.SampleFinished(
                id=self._question.id, step=self._step, prompt=self._question.prompt, thinking=parsed.thinking, answer=parsed.answer,
                opened=parsed.opened, closed=parsed.closed, well_formed=parsed.is_well_formed and self._ended, ended=self._ended,
                tokens=self._count, tokens_per_s=self._count / max(1e-9, time.perf_counter() - self._began),
            )  # fmt: skip
            self._emit(self._finished)
        return self._finished

    def _send(self) -> None:
        if len(self._text) > self._sent:
            self._emit(events.SampleText(id=self._question.id, offset=self._sent, text=self._text[self._sent :]))
            self._sent, self._last_sent = len(self._text), time.perf_counter()


@torch.no_grad()
def generate(
    model: LoadedModel, prompts: Sequence[Sequence[int]], most: int, generators: Sequence[torch.Generator],
    pick: Callable[[Tensor, torch.Generator], int], ends: Collection[int],
) -> Iterator[dict[int, int]]:  # fmt: skip
    """The next token of each of `prompts`, by its place, while it has not come to one of `ends` or to `most` tokens.

    pick: a token of (V,) logits. Gradient checkpointing plays no part in evaluation mode, and the training mode is restored when the
    caller stops.
    """
    generation = model.generation()
    model.peft.eval()
    try:
        texts, states = zip(*(generation.begin(torch.tensor([list(ids)], device=model.device)) for ids in prompts), strict=True)
        states, writing = torch.stack(states), list(range(len(prompts)))
        for written in range(1, most + 1):
            tokens = {number: pick(logits, generators[number]) for number, logits in zip(writing, model.logits(states), strict=True)}
            yield tokens
            writing = [number for number, token in tokens.items() if token not in ends]
            if not writing or written == most:
                return
            states = generation.extend(
                [texts[number] for number in writing], torch.tensor([tokens[number] for number in writing], device=model.device)
            )
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

"""Conversations into examples: token ids with the part each token plays in the loss.

Prompt and completion are encoded apart, because that is what the model meets when it is sampled: its prompt ends in exactly
these ids, whatever comes after. Supervised are the reasoning with its closing tag (THINKING) and the answer with its end token
(ANSWER). Order, rows and batches are elsewhere.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from data.conversation import Conversation
from data.errors import DataError, TemplateError
from data.frames import Frames
from data.layout import Layout
from data.segments import Segmented
from data.tokenizer import Encoded, Tokenizer

PROMPT, THINKING, ANSWER, MASKED = range(4)
"""Parts. MASKED is in the completion but not in the loss: an empty thinking block, the newline after the end token."""

_BATCH = 256
"""Texts encoded together: enough to keep the tokenizer's threads busy, few enough to keep its results small."""


_Laid = tuple[int, int, Layout]
"""Record, turn, and its texts."""
_Batch = list[tuple[_Laid, Encoded | Segmented, Encoded | Segmented]]
"""Texts with their prompts' and completions' ids."""


class ExampleSettings(Struct, frozen=True):
    """max_seq_length: tokens, prompt included.  system: for conversations that bring no system prompt."""

    max_seq_length: int = 1024
    over_length: Literal["drop", "truncate_thinking", "fail"] = "drop"
    missing_thinking: Literal["mask", "drop", "keep"] = "mask"
    system: str = ""


@dataclass(frozen=True)
class Example:
    """ids: array('i').  parts: a byte a token, one of PROMPT THINKING ANSWER MASKED.  record, turn: where it came from."""

    ids: "array[int]"
    parts: bytes
    record: int
    turn: int

    @property
    def supervised_tokens(self) -> int:
        return self.parts.count(THINKING) + self.parts.count(ANSWER)


def build_examples(conversation: Conversation, tokenizer: Tokenizer, settings: ExampleSettings, record_index: int) -> list[Example]:
    """An example for each of the assistant's turns that `settings` let through.

    Raises TemplateError when the template cannot be trained on, DataError for an over-length example when that is to fail.
    """
    builder = ExampleBuilder(tokenizer, settings)
    return [example for examples in builder.build([(record_index, conversation)]) for example in examples]


class ExampleBuilder:
    """Builds examples of many conversations, some hundred at a time.

    counts: `over_length` (dropped), `truncated`, `without_thinking` (dropped) in examples; `control_tokens` in conversations whose
    text holds a control token, which was encoded as plain text.
    """

    def __init__(self, tokenizer: Tokenizer, settings: ExampleSettings, where: Callable[[int], str] | None = None):
        """where: how a message names a record; "record 1" without it."""
        self._tokenizer, self._settings = tokenizer, settings
        self._where = where or (lambda record: f"record {record + 1}")
        self._frames = Frames(tokenizer, settings.missing_thinking == "keep")
        self.counts: Counter[str] = Counter()

    def build(self, conversations: Iterable[tuple[int, Conversation]]) -> Iterator[list[Example]]:
        """Examples of numbered conversations, in order. Raises as `build_examples` does.

        While some are encoded, in a thread that lets go of the interpreter, the next ones are laid out.
        """
        with ThreadPoolExecutor(1) as encoder:
            before: Future[_Batch] | None = None
            for layouts in self._batches(conversations):
                encoding = encoder.submit(self._encode, layouts)
                if before:
                    yield list(self._examples(before.result()))
                before = encoding
            if before:
                yield list(self._examples(before.result()))

    def _batches(self, conversations: Iterable[tuple[int, Conversation]]) -> Iterator[list[_Laid]]:
        batch: list[_Laid] = []
        for record, conversation in conversations:
            guard = self._tokenizer.guard_for(conversation)
            self.counts["control_tokens"] += bool(guard)
            batch += self._lay_out(record, conversation, guard)
            if len(batch) >= _BATCH:
                yield batch
                batch = []
        yield batch

    def _lay_out(self, record: int, conversation: Conversation, guard: str) -> Iterator[_Laid]:
        conversation = conversation.with_system(self._settings.system)
        for turn in conversation.assistant_turns():
            if conversation.turns[turn].reasoning is None and self._settings.missing_thinking == "drop":
                self.counts["without_thinking"] += 1
                continue
            try:
                yield record, turn, self._frames.lay_out(conversation.through(turn), guard)
            except TemplateError as error:
                raise TemplateError(f"{self._where(record)}: {error}") from error

    def _encode(self, layouts: list[_Laid]) -> _Batch:
        prompts = self._tokenizer.encode_batch([layout.prompt for _, _, layout in layouts])
        completions = self._tokenizer.encode_batch([layout.completion for _, _, layout in layouts], continued=True)
        return list(zip(layouts, prompts, completions, strict=True))

    def _examples(self, batch: _Batch) -> Iterator[Example]:
        for (record, turn, layout), prompt, completion in batch:
            example = Example(prompt.ids + completion.ids, bytes(len(prompt.ids)) + self._parts(layout, completion), record, turn)
            if fitting := self._fit(example, layout, completion):
                yield fitting

    def _parts(self, layout: Layout, completion: Encoded | Segmented) -> bytes:
        """The part of each of the completion's tokens. Raises TemplateError when nothing ends the turn."""
        end = completion.first_of(self._tokenizer.eos_ids)
        if end is None:
            raise TemplateError(
                "the chat template ends the assistant's turn without an end token, so the model would never learn to stop; "
                "use the chat template of the original model"
            )
        parts = bytearray([ANSWER]) * (end + 1) + bytes([MASKED]) * (len(completion.ids) - end - 1)
        if layout.thinking_end:
            thinking = completion.token_at(layout.thinking_end - 1) + 1
            parts[:thinking] = bytes([THINKING]) * thinking
        elif layout.empty_end:
            empty = completion.token_at(layout.empty_end)
            parts[:empty] = bytes([THINKING if self._settings.missing_thinking == "keep" else MASKED]) * empty
        return bytes(parts)

    def _fit(self, example: Example, layout: Layout, completion: Encoded | Segmented) -> Example | None:
        """The example if it is short enough, made so by cutting its reasoning if that is wanted and enough, else None."""
        longest = self._settings.max_seq_length
        if len(example.ids) <= longest:
            return example
        if self._settings.over_length == "fail":
            raise DataError(
                f"{self._where(example.record)}: turn {example.turn + 1} takes {len(example.ids)} tokens, more than data.max_seq_length = "
                f"{longest}; raise it, shorten the record, or set data.over_length = 'drop'"
            )
        shorter = self._cut_thinking(example, layout, completion) if self._settings.over_length == "truncate_thinking" else None
        self.counts["truncated" if shorter else "over_length"] += 1
        return shorter

    def _cut_thinking(self, example: Example, layout: Layout, completion: Encoded | Segmented) -> Example | None:
        """Leave out the end of the reasoning, never its closing tag; None when that would leave nothing of it.

        A last sign that is one token with the newline before the tag stays: the tag then follows as it always does.
        """
        if not layout.thinking_end:
            return None
        offset = len(example.ids) - len(completion.ids)
        first, close = offset + completion.token_at(layout.opening_end), offset + completion.token_at(layout.closing_start)
        end = close - (len(example.ids) - self._settings.max_seq_length)
        # A character may take several tokens; half of one must not stay.
        while end > first and self._tokenizer.decode(example.ids[first:end]).endswith("\ufffd"):
            end -= 1
        if end <= first:
            return None
        ids = example.ids[:end] + example.ids[close:]
        return Example(ids, example.parts[:end] + example.parts[close:], example.record, example.turn)

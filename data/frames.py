"""Layouts of plain question and answer without rendering the template each time.

The template is rendered once a frame (system prompt, with or without reasoning) around marks, and the texts are put in their place.
That is what it would write for texts it has no reason to treat specially: nothing in angle brackets, and white space only at such
ends of the texts where it was seen to leave it alone. Whether it does is looked at for the first of each frame, then ever less often;
a frame that is wrong once is given up, loudly.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from data.conversation import Conversation, Turn
from data.errors import TemplateError
from data.layout import Layout, lay_out
from data.tokenizer import Guarded, Tokenizer

_MARKS = ("\ufdd0question", "\ufdd1reasoning", "\ufdd2answer")
_LOOKED_AT_FIRST, _LOOKED_AT_EVERY = 8, 1024
"""Uses of a frame that are compared with the template: the first, each power of two, and one in so many."""
_MOST = 256
_SPACES = ("\n", " ", "\n\n", " \n", "\t", "\u3000")


class Frames:
    """Lays out conversations of one tokenizer. keep_empty: as for `data.layout.lay_out`."""

    def __init__(self, tokenizer: Tokenizer, keep_empty: bool):
        self._tokenizer, self._keep_empty = tokenizer, keep_empty
        self._frames: dict[tuple[str, bool], _Frame | None] = {}

    def lay_out(self, conversation: Conversation, guard: str) -> Layout:
        """As `data.layout.lay_out`. guard: of `Tokenizer.guard_for`. Raises TemplateError."""
        frame = None if guard else self._frame_for(conversation)
        if frame is None:
            return lay_out(conversation, self._tokenizer, self._keep_empty)
        layout = frame.fill(conversation)
        frame.uses += 1
        if _is_looked_at(frame.uses):
            rendered = lay_out(conversation, self._tokenizer, self._keep_empty)
            if rendered != layout:
                if frame.uses > _LOOKED_AT_FIRST:
                    raise TemplateError("the chat template writes like texts in unlike ways; use the chat template of the original model")
                self._frames[_key(conversation)] = None
            return rendered
        return layout

    def _frame_for(self, conversation: Conversation) -> "_Frame | None":
        if not _is_plain(conversation):
            return None
        key = _key(conversation)
        if key not in self._frames:
            if len(self._frames) >= _MOST:
                return None
            self._frames[key] = _make(conversation, self._tokenizer, self._keep_empty)
        frame = self._frames[key]
        return frame if frame is not None and frame.takes(conversation) else None


class _Frame:
    """prompt: before and after the question.  completion: before the reasoning, between it and the answer, after the answer.
    marked: the layout around the marks.  write: the template itself."""

    def __init__(self, prompt: list[str], completion: list[str], marked: Layout, write: Callable[[Conversation], Layout]):
        self._prompt, self._completion, self._marked, self._write = prompt, completion, marked, write
        self.uses = 0
        self._keeps: dict[tuple[int, bool], bool] = {}
        """Ends of texts (0 question, 1 reasoning, 2 answer; True for the last character), and whether the template keeps white space there:
        looked at when it is met."""

    def takes(self, conversation: Conversation) -> bool:
        """Whether the texts have white space only at ends where the template keeps it."""
        for number, text in enumerate(_texts(conversation)):
            for is_last, end in ((False, text[:1]), (True, text[-1:])):
                if end.isspace() and not self._keeps_space(conversation, number, is_last):
                    return False
        return True

    def _keeps_space(self, conversation: Conversation, number: int, is_last: bool) -> bool:
        if (number, is_last) not in self._keeps:
            self._keeps[number, is_last] = all(self._keeps_this(conversation, number, is_last, space) for space in _SPACES)
        return self._keeps[number, is_last]

    def _keeps_this(self, conversation: Conversation, number: int, is_last: bool, space: str) -> bool:
        """Whether the frame holds for a text that ends, or starts, with `space`."""
        marks = [mark[1:] for mark in _MARKS]
        marks[number] = marks[number] + space if is_last else space + marks[number]
        probe = _marked(conversation, marks)
        return self.fill(probe) == self._write(probe)

    def fill(self, conversation: Conversation) -> Layout:
        """The layout of a conversation like that which the frame was made of."""
        question, answer = conversation.turns
        reasoning = answer.reasoning or ""
        first, second = self._prompt
        before, between, after = self._completion
        places: Iterable[int] = self._marked[2:]
        if reasoning:
            longer, end = len(reasoning) - len(_MARKS[1]), len(before) + len(_MARKS[1])
            places = (place + longer if place >= end else place for place in places)
        completion = before + reasoning + between + answer.content + after
        return Layout(Guarded(first + question.content + second, ""), Guarded(completion, ""), *places)


def _key(conversation: Conversation) -> tuple[str, bool]:
    return conversation.system, bool(conversation.turns[1].reasoning)


def _is_plain(conversation: Conversation) -> bool:
    """One question and its answer, in texts no template treats specially."""
    turns = conversation.turns
    if len(turns) != 2 or conversation.tools or (turns[0].role, turns[1].role) != ("user", "assistant"):
        return False
    whole = "".join(_texts(conversation))
    return "<" not in whole and "\ufdd0" not in whole


def _texts(conversation: Conversation) -> tuple[str, str, str]:
    question, answer = conversation.turns
    return question.content, answer.reasoning or "", answer.content


def _is_looked_at(use: int) -> bool:
    return use <= _LOOKED_AT_FIRST or use & (use - 1) == 0 or use % _LOOKED_AT_EVERY == 0


def _marked(conversation: Conversation, marks: Sequence[str]) -> Conversation:
    """The same conversation with marks for its texts."""
    question, reasoning, answer = marks
    turns = (Turn("user", question), Turn("assistant", answer, reasoning if conversation.turns[1].reasoning else None))
    return Conversation(turns, conversation.system)


def _make(conversation: Conversation, tokenizer: Tokenizer, keep_empty: bool) -> _Frame | None:
    write = partial(lay_out, tokenizer=tokenizer, keep_empty=keep_empty)
    question, reasoning, answer = _MARKS
    has_reasoning, marked = bool(conversation.turns[1].reasoning), write(_marked(conversation, _MARKS))
    prompt, completion = marked.prompt.text.split(question), marked.completion.text
    if has_reasoning:
        before, found, rest = completion.partition(reasoning)
    else:
        before, found, rest = "", "", completion
    between, answered, after = rest.partition(answer)
    is_sound = len(prompt) == 2 and answered and bool(found) == has_reasoning and not any(mark in after for mark in _MARKS)
    return _Frame(prompt, [before, between, after], marked, write) if is_sound else None

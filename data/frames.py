"""Layouts of plain question and answer without rendering the template each time.

The template is rendered once a frame (system prompt, with or without reasoning) around marks, and the texts are put in their place.
That is what it would write for texts it has no reason to treat specially: nothing in angle brackets, and white space only at such
ends of the texts where it was seen to leave it alone. Whether it does is looked at for the first of each frame and every so many
after; a frame that is wrong once is given up, loudly.
"""

from collections.abc import Iterable

from data.conversation import Conversation, Turn
from data.errors import TemplateError
from data.layout import Layout, lay_out
from data.tokenizer import Guarded, Tokenizer

_MARKS = ("\ufdd0question", "\ufdd1reasoning", "\ufdd2answer")
_LOOKED_AT_FIRST, _LOOKED_AT_EVERY = 8, 64
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
        if frame.uses <= _LOOKED_AT_FIRST or frame.uses % _LOOKED_AT_EVERY == 0:
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
    marked: the layout around the marks."""

    def __init__(self, prompt: list[str], completion: list[str], marked: Layout):
        self._prompt, self._completion, self._marked = prompt, completion, marked
        self.uses = 0
        self.keeps: set[tuple[int, bool]] = set()
        """Ends of texts (0 question, 1 reasoning, 2 answer; True for the last character) whose white space the template keeps."""

    def takes(self, conversation: Conversation) -> bool:
        """Whether the texts have white space only at ends where the template keeps it."""
        for number, text in enumerate(_texts(conversation)):
            if (text[:1].isspace() and (number, False) not in self.keeps) or (text[-1:].isspace() and (number, True) not in self.keeps):
                return False
        return True

    def fill(self, conversation: Conversation) -> Layout:
        self.uses += 1
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


def _make(conversation: Conversation, tokenizer: Tokenizer, keep_empty: bool) -> _Frame | None:
    question, reasoning, answer = _MARKS
    turns = (Turn("user", question), Turn("assistant", answer, reasoning if conversation.turns[1].reasoning else None))
    marked = lay_out(Conversation(turns, conversation.system), tokenizer, keep_empty)
    prompt, completion = marked.prompt.text.split(question), marked.completion.text
    if turns[1].reasoning:
        before, found, rest = completion.partition(reasoning)
    else:
        before, found, rest = "", "", completion
    between, answered, after = rest.partition(answer)
    is_sound = len(prompt) == 2 and answered and bool(found) == bool(turns[1].reasoning) and not any(mark in after for mark in _MARKS)
    if not is_sound:
        return None
    frame = _Frame(prompt, [before, between, after], marked)
    frame.keeps = {
        (number, is_last)
        for number in (0, 1, 2) if number != 1 or turns[1].reasoning
        for is_last in (False, True)
        if all(_is_kept(frame, conversation, number, is_last, space, tokenizer, keep_empty) for space in _SPACES)
    }  # fmt: skip
    frame.uses = 0
    return frame


def _is_kept(
    frame: _Frame, conversation: Conversation, number: int, is_last: bool, space: str, tokenizer: Tokenizer, keep_empty: bool
) -> bool:
    """Whether the frame holds for a text that ends, or starts, with `space`."""
    marks = [mark[1:] for mark in _MARKS]
    marks[number] = marks[number] + space if is_last else space + marks[number]
    turns = (Turn("user", marks[0]), Turn("assistant", marks[2], marks[1] if conversation.turns[1].reasoning else None))
    probe = Conversation(turns, conversation.system)
    return frame.fill(probe) == lay_out(probe, tokenizer, keep_empty)

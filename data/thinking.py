"""Thinking tags in a text: taken apart on import, so that every model gets the tags of its own template.

`<thinking>`, `<thought>` and `<reasoning>` are read like `<think>`, in any case and with spaces inside; a text whose tags
leave any doubt is refused, never guessed at. Nothing here writes tags.
"""

import re
from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"
"""The tags Danlu writes where a template brings none of its own."""

_TAG = re.compile(r"<[ \t]{0,4}(/?)[ \t]{0,4}(think|thinking|thought|reasoning)[ \t]{0,4}>", re.IGNORECASE)

_NAMES = "(?:think|thinking|thought|reasoning)"
_ODD = re.compile(
    rf"[<＜]\s*/?\s*{_NAMES}\s*/?\s*[>＞]|<{_NAMES}\s[^<>]{{0,40}}>|&lt;\s*/?\s*{_NAMES}\s*&gt;|\[/?(?:think|thinking)\]",
    re.IGNORECASE,
)

FAULTS = {
    "unclosed_thinking": "the thinking tag is opened but never closed; add the closing tag",
    "unopened_thinking": "the thinking tag is closed but never opened; put the opening tag in front of the reasoning",
    "nested_thinking": "a thinking tag is opened inside another; keep one block",
    "repeated_thinking": "there is more than one thinking block; keep one, before the answer",
    "mismatched_thinking": "the thinking block is opened and closed with different tags; use the same name in both",
    "text_before_thinking": "text stands before the thinking block; the block must come first",
    "empty_thinking": "the thinking block is empty; the record counts as one without reasoning",
}
"""What each code means and its cure. Only `empty_thinking` leaves the text usable."""

REMARKS = frozenset({"empty_thinking"})
"""Codes that are worth telling but do not make a record invalid."""


class Split(NamedTuple):
    """reasoning: None when there is none.  answer: the rest.  faults: codes of `FAULTS`; with one outside `REMARKS` the
    reasoning is None and the answer the whole text, unusable for training."""

    reasoning: str | None
    answer: str
    faults: tuple[str, ...] = ()


def split_thinking(text: str) -> Split:
    """Reasoning and answer of an assistant's text. Reasoning loses its outer white space, the answer what stands before it."""
    tags = list(_TAG.finditer(text))
    if not tags:
        return Split(None, text)
    if fault := _fault(text, tags):
        return Split(None, text, (fault,))
    opening, closing = tags
    reasoning = text[opening.end() : closing.start()].strip()
    answer = text[closing.end() :].lstrip()
    return Split(reasoning, answer) if reasoning else Split(None, answer, ("empty_thinking",))


def has_tag(text: str) -> bool:
    """Whether any thinking tag, opening or closing, is in `text`."""
    return _TAG.search(text) is not None


def odd_tags(text: str) -> list[str]:
    """What is meant as a thinking tag but is none, so that it would be learnt as answer: full-width, escaped, with attributes, in []."""
    return [tag[0] for tag in _ODD.finditer(text) if not _TAG.fullmatch(tag[0])]


def _fault(text: str, tags: list[re.Match[str]]) -> str | None:
    """What is wrong with the tags, None when they are one block at the start."""
    closing = sum(bool(tag[1]) for tag in tags)
    depth = 0
    for tag in tags:
        depth += -1 if tag[1] else 1
        if depth < 0:
            return "unopened_thinking"
        if depth > 1:
            return "nested_thinking" if 2 * closing >= len(tags) else "unclosed_thinking"
    if depth > 0:
        return "unclosed_thinking"
    if len(tags) > 2:
        return "repeated_thinking"
    if tags[0][2].lower() != tags[1][2].lower():
        return "mismatched_thinking"
    return "text_before_thinking" if text[: tags[0].start()].strip() else None

"""The text of one example: the prompt, the completion, and where in the completion thinking ends and the answer begins.

The prompt is the template's own generation prompt, so that training starts exactly where sampling does. Texts only; ids are
`data.examples`.
"""

import re
from typing import NamedTuple

from data.conversation import Conversation, Turn
from data.errors import TemplateError
from data.thinking import CLOSE, OPEN
from data.tokenizer import Guarded, Tokenizer, free_character


class Layout(NamedTuple):
    """prompt + completion is what the model sees.

    thinking_end: characters of the completion that are thinking, closing tag included; 0 for an example without reasoning.
    closing_start: where the closing tag and the white space before it begin.  opening_end: where the reasoning itself begins.
    empty_end: characters of an empty thinking block at the start of the completion; 0 when there is none.
    """

    prompt: Guarded
    completion: Guarded
    thinking_end: int = 0
    closing_start: int = 0
    opening_end: int = 0
    empty_end: int = 0


def lay_out(conversation: Conversation, tokenizer: Tokenizer, keep_empty: bool = False) -> Layout:
    """The layout of the last turn, which must be the assistant's, with everything before it as the prompt.

    keep_empty: write an empty thinking block even where the template does not. Raises TemplateError when the generation
    prompt is not how the template begins this turn, or when it drops the reasoning.
    """
    assert conversation.turns[-1].role == "assistant"
    guard = tokenizer.guard_for(conversation)
    prompt = tokenizer.render_guarded(conversation.before(len(conversation.turns) - 1), add_generation_prompt=True, guard=guard)
    if tokenizer.thinking_style == "template":
        completion = _completion_by_template(conversation, tokenizer, prompt)
    else:
        completion = _completion_with_plain_tags(conversation, tokenizer, prompt, keep_empty)
    layout = Layout(prompt, Guarded(completion, guard))
    if reasoning := conversation.turns[-1].reasoning:
        return _with_thinking(layout, tokenizer, tokenizer.guard_text(reasoning, "assistant", guard).strip())
    has_block = tokenizer.thinking_style == "template" or tokenizer.opens_thinking or keep_empty
    return _with_empty_block(layout, tokenizer) if has_block else layout


def _completion_by_template(conversation: Conversation, tokenizer: Tokenizer, prompt: Guarded) -> str:
    full = tokenizer.render_guarded(conversation, add_generation_prompt=False, guard=prompt.guard).text
    if not full.startswith(prompt.text):
        raise _not_a_prefix(prompt.text, full)
    return full[len(prompt.text) :]


def _completion_with_plain_tags(conversation: Conversation, tokenizer: Tokenizer, prompt: Guarded, keep_empty: bool) -> str:
    """The turn written by us inside the template's frame: some templates would cut `<think>` out of what they are given."""
    turn = conversation.turns[-1]
    mark = free_character([prompt.text, turn.content, turn.reasoning or ""], other_than=prompt.guard)
    framed = Conversation((*conversation.turns[:-1], Turn("assistant", mark)), conversation.system, tools=conversation.tools)
    head, _, tail = tokenizer.render_guarded(framed, add_generation_prompt=False, guard=prompt.guard).text.partition(mark)
    lead = head[len(prompt.text) :]
    if not head.startswith(prompt.text) and not (tokenizer.opens_thinking and prompt.text.startswith(head)):
        raise _not_a_prefix(prompt.text, head)
    opening = "" if tokenizer.opens_thinking else f"{OPEN}\n"
    answer = tokenizer.guard_text(turn.content, "assistant", prompt.guard)
    if turn.reasoning:
        body = f"{opening}{tokenizer.guard_text(turn.reasoning, 'assistant', prompt.guard)}\n{CLOSE}\n\n{answer}"
    elif tokenizer.opens_thinking or keep_empty:
        body = f"{opening}\n{CLOSE}\n\n{answer}"
    else:
        body = answer
    return lead + body + tail


def _with_thinking(layout: Layout, tokenizer: Tokenizer, reasoning: str) -> Layout:
    """The closing tag is the first after the whole reasoning: where tags are plain text, the reasoning itself may hold one."""
    text = layout.completion.text
    opening = re.match(rf"\s*{re.escape(tokenizer.open_tag)}\s*", text)
    start = text.find(reasoning, opening.end() if opening else 0)
    close = text.find(tokenizer.close_tag, start + len(reasoning)) if start >= 0 else -1
    if close < 0:
        raise TemplateError("the chat template drops the reasoning of the last turn; use a thinking model or its own template")
    end = close + len(tokenizer.close_tag)
    return layout._replace(thinking_end=end, closing_start=len(text[:close].rstrip()), opening_end=start)


def _with_empty_block(layout: Layout, tokenizer: Tokenizer) -> Layout:
    opening, closing = re.escape(tokenizer.open_tag), re.escape(tokenizer.close_tag)
    block = re.match(rf"\s*(?:{opening})?\s*{closing}\s*", layout.completion.text)
    return layout._replace(empty_end=block.end()) if block else layout


def _not_a_prefix(prompt: str, full: str) -> TemplateError:
    at = next((i for i, (a, b) in enumerate(zip(prompt, full, strict=False)) if a != b), min(len(prompt), len(full)))
    return TemplateError(
        f"the generation prompt is not the start of the example: after {prompt[max(0, at - 20) : at]!r} the prompt goes on with "
        f"{prompt[at : at + 30]!r}, the example with {full[at : at + 30]!r}; use the chat template of the original model"
    )

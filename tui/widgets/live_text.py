"""What a model is writing, taken apart into thinking and answer while it grows.

By the last closing tag, only for the eye: the engine's own split comes with the finished sample.
"""

import re

OPEN_TAG = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>")
CLOSE_TAG = re.compile(r"</(think|thinking|thought|reasoning)>")


def split_live(text: str, prompt_opens: bool) -> tuple[str, str]:
    """Thinking and answer of a text that is still growing: what follows the last closing tag is the answer.

    prompt_opens: whether the open tag belongs to the prompt; else a text that does not begin with one is all answer.
    """
    if not prompt_opens and not OPEN_TAG.match(text):
        return "", text
    text = OPEN_TAG.sub("", text, count=1)
    closing = list(CLOSE_TAG.finditer(text))
    return (text[: closing[-1].start()], text[closing[-1].end() :]) if closing else (text, "")

"""A text taken apart while it is still being written."""

import pytest

from tui.widgets.live_text import split_live


@pytest.mark.parametrize(
    ("text", "prompt_opens", "parts"),
    [
        ("先想", True, ("先想", "")),
        ("先想\n</think>\n\n答", True, ("先想\n", "\n\n答")),
        ("<think>先想", False, ("先想", "")),
        ("<think>先想</think>答", False, ("先想", "答")),
        ("直接回答", False, ("", "直接回答")),
        ("想</think>又想</think>答", True, ("想</think>又想", "答")),
    ],
)
def test_a_growing_text_is_thinking_until_it_is_closed(text, prompt_opens, parts):
    """Where the prompt opens the thinking all is thinking at first; where it does not, only what follows an open tag."""
    assert split_live(text, prompt_opens) == parts

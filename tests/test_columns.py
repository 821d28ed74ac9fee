"""Aligned and wrapped text, measured in cells."""

import pytest

from tui.columns import columns, wrap
from tui.gate import cells

TEXT = "丹炉在你自己的机器上用 LoRA 微调思考型语言模型（Qwen3），关掉终端训练继续进行。 Some English words follow here."


def test_columns_align_wide_characters():
    """A Chinese character takes two cells, so the next column starts at the same place in every line."""
    lines = columns([["名称", "1"], ["name", "20"], ["长长的名称", "3"]], right={1})

    assert {cells(line) for line in lines} == {14}
    assert lines[0] == "名称" + " " * 9 + "1"


def test_rows_may_be_shorter_than_others():
    """A missing last cell leaves no spaces behind."""
    assert columns([["a", "b"], ["long"]]) == ["a     b", "long"]


@pytest.mark.parametrize("width", [14, 20, 33, 60])
def test_wrapped_lines_fit_and_lose_nothing(width):
    """No line is wider than asked, none begins with a closing mark, and the text is all there."""
    lines = wrap(TEXT, width)

    assert max(map(cells, lines)) <= width
    assert not any(line[0] in "，。）" for line in lines)
    assert "".join(lines).replace(" ", "") == TEXT.replace(" ", "")

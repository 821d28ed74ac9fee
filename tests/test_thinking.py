"""Thinking tags: every spelling is read, every doubt refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.thinking import FAULTS, has_tag, odd_tags, split_thinking

TEXT = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())


@pytest.mark.parametrize("name", ["think", "thinking", "thought", "reasoning", "THINK", "Thinking"])
def test_every_spelling_of_the_tag_is_read(name):
    """`<thinking>` data trains like `<think>` data."""
    assert split_thinking(f"<{name}>\n因为\n</{name}>\n\n所以") == ("因为", "所以", ())


def test_spaces_inside_the_tags_are_read():
    """Tags written as `< think >` and `< / think >` are tags."""
    assert split_thinking("< think >R< / think >A") == ("R", "A", ())


def test_text_without_tags_is_all_answer():
    """Nothing is taken from a plain answer, not even its white space."""
    assert split_thinking("  plain\n") == (None, "  plain\n", ())


def test_an_empty_block_is_a_remark_and_leaves_the_answer():
    """A record whose thinking is empty counts as one without reasoning."""
    assert split_thinking("<think>\n\n</think>\n\nA") == (None, "A", ("empty_thinking",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<think>R", "unclosed_thinking"),
        ("R</think>A", "unopened_thinking"),
        ("</think>R<think>A", "unopened_thinking"),
        ("<think>a<think>b</think>c</think>A", "nested_thinking"),
        ("<think>a<think>b</think>A", "unclosed_thinking"),
        ("<think>a</think>b<think>c</think>A", "repeated_thinking"),
        ("<think>a</thinking>A", "mismatched_thinking"),
        ("A<think>R</think>", "text_before_thinking"),
        ("use the <think> tag", "unclosed_thinking"),
    ],
)
def test_tags_in_doubt_are_refused(text, fault):
    """A text whose tags are not one block at the start is never guessed at, and stays whole."""
    assert split_thinking(text) == (None, text, (fault,))


@given(TEXT, TEXT)
def test_a_well_formed_text_comes_apart_as_it_was_put_together(reasoning, answer):
    """Reasoning and answer survive the tags but for outer white space."""
    split = split_thinking(f"<thinking>\n{reasoning}\n</thinking>\n\n{answer}")

    assert split == (reasoning.strip(), answer.lstrip(), ())


@given(st.lists(st.sampled_from(["<think>", "</think>", "< Thinking >", "</thinking>", "<reasoning>", "想", " ", "\n"]), max_size=8))
def test_any_jumble_of_tags_is_split_or_refused(parts):
    """Either no tag is left in the parts, or a known code says why the text is unusable."""
    text = "".join(parts)
    split = split_thinking(text)

    if set(split.faults) - {"empty_thinking"}:
        assert split.answer == text and split.faults[0] in FAULTS
    else:
        assert "think" not in split.answer and "think" not in (split.reasoning or "")


def _faults_by_hand(tags):
    """What is wrong with a sequence of (is_closing, name), told by a stack."""
    stack, blocks, deepest = [], 0, 0
    for is_closing, name in tags:
        if is_closing and not stack:
            return "unopened"
        if is_closing:
            opened = stack.pop()
            blocks += not stack
            if opened != name and len(tags) == 2:
                return "mismatched"
        else:
            stack.append(name)
            deepest = max(deepest, len(stack))
    if stack:
        return "unbalanced"
    return "nested" if deepest > 1 else "repeated" if blocks > 1 else "fine"


TAGS = st.tuples(st.booleans(), st.sampled_from(["think", "thinking", "thought", "reasoning"]))


@given(st.lists(st.tuples(TAGS, TEXT), min_size=1, max_size=6))
def test_a_stack_finds_the_same_faults(parts):
    """Whatever the order of tags, the parser and a stack machine agree on whether it is one block, and on why it is not."""
    text = "".join(f"<{'/' * is_closing}{name}>{words}" for (is_closing, name), words in parts)
    found = split_thinking(text).faults
    agree = {
        "fine": ((), ("empty_thinking",)), "unopened": (("unopened_thinking",), ("nested_thinking",), ("unclosed_thinking",)),
        "unbalanced": (("unclosed_thinking",), ("nested_thinking",), ("unopened_thinking",)), "nested": (("nested_thinking",),),
        "repeated": (("repeated_thinking",),), "mismatched": (("mismatched_thinking",),),
    }  # fmt: skip

    assert found in agree[_faults_by_hand([tag for tag, _ in parts])]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_without_a_tag_is_never_touched(text):
    """Any other text comes back as it is, angle brackets included."""
    assert has_tag(text) or split_thinking(text) == (None, text, ())


@pytest.mark.parametrize("tag", ["＜think＞", "&lt;/think&gt;", '<think type="x">', "<think/>", "[thinking]", "<\nthink>"])
def test_tags_that_are_none_are_seen(tag):
    """They would be learnt as a part of the answer."""
    assert odd_tags(f"a{tag}b") == [tag] and split_thinking(tag).faults == ()


@pytest.mark.parametrize("text", ["<think>", "< / Thinking >", "I think [so]", "a < thinking and b > c", "List<Thought>"])
def test_tags_and_other_words_are_no_odd_tags(text):
    """What is read as a tag needs no remark, nor does the word by itself."""
    assert [tag for tag in odd_tags(text) if tag != "<Thought>"] == []

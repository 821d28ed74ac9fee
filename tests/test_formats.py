"""Record layouts: each becomes the same conversation, and what is wrong is named with field and value."""

import shlex

import pytest

from data.conversation import Turn
from data.formats import convert, detect, rename

QUESTION, ANSWER = Turn("user", "什么是SM4？"), Turn("assistant", "分组密码。", "国密算法")
TAGGED = "<thinking>国密算法</thinking>分组密码。"


@pytest.mark.parametrize(
    ("layout", "raw"),
    [
        ("alpaca", {"instruction": "什么是SM4？", "input": "", "output": TAGGED}),
        ("alpaca", {"instruction": "什么是SM4？", "output": "分组密码。", "reasoning": "国密算法"}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "什么是SM4？"}, {"from": "gpt", "value": TAGGED}]}),
        ("messages", {"messages": [{"role": "user", "content": "什么是SM4？"}, {"role": "assistant", "content": TAGGED}]}),
        (
            "messages",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "什么是SM4？"}]},
                    {"role": "assistant", "content": "分组密码。", "reasoning_content": "国密算法"},
                ]
            },
        ),
        (
            "messages",
            {
                "messages": [
                    {"role": "user", "content": "什么是SM4？"},
                    {"role": "assistant", "content": [{"type": "reasoning", "value": "国密算法"}, {"type": "text", "value": "分组密码。"}]},
                ]
            },
        ),
        ("query_response", {"query": "什么是SM4？", "response": TAGGED}),
        ("query_response", {"question": "什么是SM4？", "answer": "分组密码。", "cot": "国密算法"}),
        ("query_response", {"prompt": "什么是SM4？", "std_answer": "分组密码。", "thinking": "<think>国密算法</think>"}),
    ],
)
def test_every_layout_gives_the_same_conversation(layout, raw):
    """Detected, and read alike with the reasoning apart."""
    conversation, problems = convert(raw, "auto")

    assert detect(raw) == layout and problems == []
    assert conversation is not None and conversation.turns == (QUESTION, ANSWER)


def test_alpaca_brings_system_history_and_labels():
    """Every field of the layout has its place in the conversation."""
    raw = {"instruction": "q2", "input": "i", "output": "a2", "system": "s", "history": [["q1", "a1"]], "difficulty": 3, "category": "hash"}
    conversation, _ = convert(raw, "alpaca")

    assert conversation is not None
    assert [turn.content for turn in conversation.turns] == ["q1", "a1", "q2\ni", "a2"]
    assert (conversation.system, conversation.difficulty, conversation.category) == ("s", "3", "hash")


def test_tool_calls_are_written_as_qwen_writes_them():
    """A call is the assistant's own text, its result a tool turn, and the tools are kept for the template."""
    raw = {
        "conversations": [
            {"from": "human", "value": "发票"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"a": "约翰"}}'},
            {"from": "observation", "value": "42"},
            {"from": "gpt", "value": "好"},
        ],
        "tools": '[{"name": "f", "parameters": {}}]',
    }
    conversation, _ = convert(raw, "auto")

    assert conversation is not None
    assert conversation.turns[1] == Turn("assistant", '<tool_call>\n{"name": "f", "arguments": {"a": "约翰"}}\n</tool_call>')
    assert conversation.turns[2] == Turn("tool", "42")
    assert conversation.tools == ({"type": "function", "function": {"name": "f", "parameters": {}}},)


def test_questions_after_the_last_answer_are_left_out():
    """A conversation cut off after a question still trains up to its last answer."""
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"}]
    conversation, problems = convert({"conversations": turns}, "auto")

    assert conversation is not None and len(conversation.turns) == 2 and problems == []


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ({"instruction": "q"}, "output", "missing"),
        ({"instruction": "q", "output": ""}, "output", "empty"),
        ({"instruction": "q", "output": 7}, "output", "wrong_type"),
        ({"instruction": None, "output": "a"}, "instruction", "wrong_type"),
        ({"instruction": " ", "output": "a"}, "instruction", "empty"),
        ({"instruction": "q", "output": "a", "history": [["q"]]}, "history[0]", "wrong_type"),
        ({"instruction": "q", "output": "a", "difficulty": ["hard"]}, "difficulty", "wrong_type"),
        ({"instruction": "q", "output": "<think>r</think>"}, "output", "empty"),
        ({"instruction": "q", "output": "<think>r"}, "output", "unclosed_thinking"),
        ({"instruction": "q", "output": TAGGED, "reasoning": "r"}, "output", "two_reasonings"),
        ({"instruction": "q", "output": "a", "reasoning": "x</think>"}, "output", "tag_in_reasoning"),
        ({"conversations": []}, "", "no_answer"),
        ({"conversations": ["x"]}, "conversations[0]", "wrong_type"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "conversations[0].value", "starts_without_question"),
        ({"conversations": [{"from": "alien", "value": "a"}]}, "conversations[0].from", "unknown_role"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].type", "unknown_part"),
        ({"id": 1, "title": "t"}, "", "unknown_format"),
        ({}, "", "unknown_format"),
        ({"instruction": "q", "output": "a", "tools": "{"}, "tools", "wrong_type"),
    ],
)
def test_what_is_wrong_is_named(raw, field, code):
    """A record that cannot be used says which field and why."""
    conversation, problems = convert(raw, "auto")

    assert conversation is None
    assert [(problem.field, problem.code) for problem in problems] == [(field, code)]


@pytest.mark.parametrize(
    ("raw", "options"),
    [
        ({"提问": "q", "思路": "t", "回答": "a"}, ["query=提问", "response=回答"]),
        ({"my question": "q", "my answer": "a"}, ["query=my question", "response=my answer"]),
        ({"问题": "q", "output": "a"}, ["query=问题"]),
    ],
)
def test_the_cure_for_foreign_names_makes_the_record_readable(raw, options):
    """It names every column that is needed, ready to be typed, and no more."""
    _, (problem,) = convert(raw, "auto")

    assert ("'" in problem.text) == any(" " in option for option in options)
    typed = shlex.split(problem.text[problem.text.index("--column") :])
    assert typed == [word for option in options for word in ("--column", option)]
    assert convert(rename(raw, options), "auto")[0] is not None


def test_the_cure_for_a_missing_answer_names_its_option():
    """A question that is found and an answer that is not are half of the way."""
    _, (problem,) = convert({"question": "q", "回答": "a"}, "auto")

    assert problem.text.endswith("--column response=THEIRS")


def test_a_huge_wrong_value_makes_a_short_message():
    """A message never holds a whole record."""
    deep: list = []
    for _ in range(500):
        deep = [deep]
    for value in ("<think>" + "x" * 100_000, deep):
        _, problems = convert({"instruction": "q", "output": value}, "auto")
        assert len(problems[0].text) < 300

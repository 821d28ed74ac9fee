"""Examples: exactly which tokens a model sees, and which of them it learns from."""

from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.conversation import Conversation, Turn
from data.errors import DataError, TemplateError
from data.examples import ANSWER, MASKED, PROMPT, THINKING, ExampleBuilder, ExampleSettings, build_examples
from data.frames import Frames
from data.layout import lay_out
from data.tokenizer import load_tokenizer
from tests.tokenizers import QWEN3_THINKING_TEMPLATE, qwen3_tokenizer_folder

QUESTION, REASONING, ANSWERED = "什么是SM4？", "先想国密算法。\n再想分组。", "分组密码，128位。"
THOUGHT = Conversation((Turn("user", QUESTION), Turn("assistant", ANSWERED, REASONING)))
UNTHOUGHT = Conversation((Turn("user", QUESTION), Turn("assistant", ANSWERED)))
LONG = Conversation((Turn("user", QUESTION), Turn("assistant", ANSWERED, "想一想🧪。" * 100)))
NOT_2507 = QWEN3_THINKING_TEMPLATE.replace("'<|im_start|>assistant\\n<think>\\n'", "'<|im_start|>assistant\\n'")
"""As hybrid Qwen3: the template writes the thinking tags, the generation prompt does not open them."""


def _build(conversation, tokenizer, max_seq_length=100_000, **options):
    return build_examples(conversation, tokenizer, ExampleSettings(max_seq_length, **options), 0)


def _text(example, tokenizer, *parts):
    return tokenizer.decode([id for id, part in zip(example.ids, example.parts, strict=True) if part in parts])


def _by_part(example, tokenizer):
    """Text of each run of tokens of one part, in order."""
    runs = []
    for id, part in zip(example.ids, example.parts, strict=True):
        if not runs or runs[-1][0] != part:
            runs.append((part, []))
        runs[-1][1].append(id)
    return [(part, tokenizer.decode(ids)) for part, ids in runs]


def test_a_thinking_example_comes_apart_into_its_parts(qwen3):
    """Everything through `<think>` is prompt, reasoning and answer with the end token are learned, the last newline is not."""
    (example,) = _build(THOUGHT, qwen3)

    assert _by_part(example, qwen3) == [
        (PROMPT, f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n<think>\n"),
        (THINKING, f"{REASONING}\n</think>"),
        (ANSWER, f"\n\n{ANSWERED}<|im_end|>"),
        (MASKED, "\n"),
    ]


def test_the_generation_prompt_is_the_start_of_the_example(qwen3):
    """The model is trained to go on from exactly the ids it is sampled from, and the ids are those of the whole text."""
    (example,) = _build(THOUGHT, qwen3)
    prompt = qwen3.prompt_ids(THOUGHT.before(1))

    assert list(example.ids[: len(prompt)]) == prompt
    assert set(example.parts[: len(prompt)]) == {PROMPT} and PROMPT not in example.parts[len(prompt) :]
    assert list(example.ids) == qwen3.encode(qwen3.render(THOUGHT))
    assert isinstance(example.ids, array) and example.ids.typecode == "i" and len(example.parts) == len(example.ids)


def test_supervised_tokens_are_thinking_and_answer(qwen3):
    """Their number is what the loss is divided by; the closing tag and the end token are among them."""
    (example,) = _build(THOUGHT, qwen3)
    supervised = [id for id, part in zip(example.ids, example.parts, strict=True) if part in (THINKING, ANSWER)]

    assert example.supervised_tokens == len(supervised)
    assert supervised.count(151668) == 1 and supervised[-1] == 151645 and 151667 not in supervised


def test_an_empty_thinking_block_is_masked(qwen3):
    """A record without reasoning must not teach the model to think nothing."""
    (example,) = _build(UNTHOUGHT, qwen3, missing_thinking="mask")

    assert _by_part(example, qwen3)[1:] == [(MASKED, "\n</think>\n\n"), (ANSWER, f"{ANSWERED}<|im_end|>"), (MASKED, "\n")]


def test_an_empty_thinking_block_is_learned_when_kept(qwen3):
    """`keep` is for those who do want short answers without thinking."""
    (example,) = _build(UNTHOUGHT, qwen3, missing_thinking="keep")

    assert _by_part(example, qwen3)[1:] == [(THINKING, "\n</think>\n\n"), (ANSWER, f"{ANSWERED}<|im_end|>"), (MASKED, "\n")]


def test_examples_without_thinking_can_be_dropped_and_are_counted(qwen3):
    """Only the thinking turns of a mixed conversation stay."""
    mixed = Conversation((*THOUGHT.turns, *UNTHOUGHT.turns))
    builder = ExampleBuilder(qwen3, ExampleSettings(10_000, missing_thinking="drop"))
    (examples,) = builder.build([(7, mixed)])

    assert [(example.record, example.turn) for example in examples] == [(7, 1)]
    assert builder.counts["without_thinking"] == 1


def test_every_assistant_turn_becomes_an_example(qwen3):
    """k turns give k examples, each with the history as the model will see it: earlier reasoning left out."""
    conversation = Conversation((Turn("user", "q1"), Turn("assistant", "a1", "r1"), Turn("user", "q2"), Turn("assistant", "a2", "r2")), "s")
    first, second = _build(conversation, qwen3)
    system = "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\n"

    assert (first.turn, second.turn) == (1, 3)
    assert qwen3.decode(first.ids) == f"{system}<think>\nr1\n</think>\n\na1<|im_end|>\n"
    assert qwen3.decode(second.ids) == (
        f"{system}a1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n<think>\nr2\n</think>\n\na2<|im_end|>\n"
    )
    assert _text(second, qwen3, THINKING, ANSWER) == "r2\n</think>\n\na2<|im_end|>"


def test_the_configured_system_prompt_is_for_conversations_without_one(qwen3):
    """A record's own system prompt is never replaced."""
    own = Conversation(THOUGHT.turns, "eigen")
    texts = [qwen3.decode(_build(conversation, qwen3, system="预设")[0].ids) for conversation in (THOUGHT, own)]

    assert ["预设" in text for text in texts] == [True, False] and "eigen" in texts[1]


def test_tool_calls_between_question_and_answer_are_examples_of_their_own(qwen3):
    """The call is learned with its reasoning, the tool's reply never."""
    turns = (Turn("user", "q"), Turn("assistant", "<tool_call>\n{}\n</tool_call>", "r1"), Turn("tool", "42"), Turn("assistant", "a", "r2"))
    call, answer = _build(Conversation(turns), qwen3)

    assert _text(call, qwen3, THINKING, ANSWER) == "r1\n</think>\n\n<tool_call>\n{}\n</tool_call><|im_end|>"
    assert _text(answer, qwen3, THINKING, ANSWER) == "r2\n</think>\n\na<|im_end|>"


def test_over_length_examples_are_dropped_and_counted(qwen3):
    """Nothing is cut silently; an example of exactly the maximum stays."""
    length = len(_build(LONG, qwen3)[0].ids)
    builder = ExampleBuilder(qwen3, ExampleSettings(length - 1))
    (examples,) = builder.build([(0, LONG)])

    assert examples == [] and builder.counts["over_length"] == 1
    assert len(_build(LONG, qwen3, length)) == 1


def test_an_over_length_example_fails_with_its_place(qwen3):
    """`fail` names record, length, limit and cure."""
    builder = ExampleBuilder(qwen3, ExampleSettings(64, over_length="fail"), lambda index: f"data.jsonl:{index + 5}")

    with pytest.raises(DataError, match=r"data\.jsonl:7: turn 2 takes \d+ tokens, more than data\.max_seq_length = 64; raise it"):
        list(builder.build([(2, LONG)]))


@pytest.mark.parametrize("limit", range(50, 60))
@pytest.mark.parametrize("model", ["qwen3", "smollm2"])
def test_truncated_thinking_keeps_its_closing_tag_and_the_answer(request, model, limit):
    """Whatever the limit, only the end of the reasoning goes, at a character's edge, and the row is full but for a split character.

    The full stop before the closing tag stays where it is one token with its newline.
    """
    tokenizer = request.getfixturevalue(model)
    limit *= 1 if model == "qwen3" else 2
    (example,) = _build(LONG, tokenizer, limit, over_length="truncate_thinking")
    thinking = _text(example, tokenizer, THINKING)

    assert limit - 4 < len(example.ids) <= limit
    assert thinking.endswith("\n</think>") and "\ufffd" not in thinking
    assert LONG.turns[1].reasoning.startswith(thinking.removesuffix("\n</think>").removeprefix("<think>\n").removesuffix("。"))
    assert _text(example, tokenizer, ANSWER) == f"\n\n{ANSWERED}<|im_end|>"


def test_an_answer_that_is_too_long_is_dropped_whole(qwen3):
    """Cutting the thinking is no help when nothing of it would be left; the answer is never cut."""
    long = Conversation((Turn("user", "q"), Turn("assistant", "很长的回答" * 60, "想")))
    builder = ExampleBuilder(qwen3, ExampleSettings(64, over_length="truncate_thinking"))
    (examples,) = builder.build([(0, long), (1, Conversation((Turn("user", "q"), Turn("assistant", "很长的回答" * 60))))])

    assert examples == [] and builder.counts["over_length"] == 2 and not builder.counts["truncated"]


def test_a_model_without_thinking_gets_plain_text_tags(smollm2):
    """Both tags are then the model's to learn."""
    (example,) = _build(THOUGHT, smollm2)
    runs = _by_part(example, smollm2)

    assert runs[0][0] == PROMPT and runs[0][1].endswith("<|im_start|>assistant\n")
    assert runs[1:] == [(THINKING, f"<think>\n{REASONING}\n</think>"), (ANSWER, f"\n\n{ANSWERED}<|im_end|>"), (MASKED, "\n")]


@pytest.mark.parametrize(
    ("missing_thinking", "runs"),
    [
        ("mask", [(ANSWER, f"{ANSWERED}<|im_end|>"), (MASKED, "\n")]),
        ("keep", [(THINKING, "<think>\n\n</think>\n\n"), (ANSWER, f"{ANSWERED}<|im_end|>"), (MASKED, "\n")]),
    ],
)
def test_a_model_without_thinking_needs_no_empty_block(smollm2, missing_thinking, runs):
    """Where the template writes none, none is put there unless it is to be learned."""
    (example,) = _build(UNTHOUGHT, smollm2, missing_thinking=missing_thinking)

    assert _by_part(example, smollm2)[1:] == runs


def test_a_template_whose_prompt_leaves_thinking_closed_teaches_both_tags(tmp_path):
    """Hybrid Qwen3: the opening tag is the model's own first token."""
    tokenizer = load_tokenizer(qwen3_tokenizer_folder(tmp_path, NOT_2507))
    (example,) = _build(THOUGHT, tokenizer)

    assert (tokenizer.thinking_style, tokenizer.opens_thinking) == ("template", False)
    assert _text(example, tokenizer, THINKING, ANSWER) == f"<think>\n{REASONING}\n</think>\n\n{ANSWERED}<|im_end|>"
    assert _by_part(_build(UNTHOUGHT, tokenizer)[0], tokenizer)[1][0] == MASKED


def test_a_closing_tag_in_the_data_does_not_end_the_thinking(qwen3):
    """A reasoning that speaks of `</think>` is text; the first real closing tag is the template's."""
    evil = Conversation((Turn("user", "q"), Turn("assistant", "so </think> it is", "the tag </think> ends")))
    builder = ExampleBuilder(qwen3, ExampleSettings(1000))
    (((example,)),) = builder.build([(0, evil)])

    assert example.ids.count(151668) == 1 and builder.counts["control_tokens"] == 1
    assert _text(example, qwen3, THINKING) == "the tag </think> ends\n</think>"
    assert _text(example, qwen3, ANSWER) == "\n\nso </think> it is<|im_end|>"


def test_an_end_token_in_the_answer_does_not_end_the_loss(qwen3):
    """`<|im_end|>` inside an answer is plain text, and what follows is learned too."""
    evil = Conversation((Turn("user", "q"), Turn("assistant", "write <|im_end|> to stop", "r")))
    (example,) = _build(evil, qwen3)

    assert _text(example, qwen3, ANSWER) == "\n\nwrite <|im_end|> to stop<|im_end|>"
    assert sum(id == 151645 for id, part in zip(example.ids, example.parts, strict=True) if part == ANSWER) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<|im_start|>assistant\\n<think>\\n' }}\n{%- endif", "<|im_start|>bot\\n' }}\n{%- endif", "generation prompt is not the start"),
        (
            "{{- '<|im_end|>\\n' }}\n    {%- elif message.role == \"tool\"",
            "{{- '\\n' }}\n    {%- elif message.role == \"tool\"",
            "end token",
        ),
    ],
)
def test_a_template_that_cannot_be_trained_is_refused(tmp_path, old, new, message):
    """A prompt that is no prefix and a turn without end token are loud errors, not silent damage."""
    assert old in QWEN3_THINKING_TEMPLATE
    tokenizer = load_tokenizer(qwen3_tokenizer_folder(tmp_path, QWEN3_THINKING_TEMPLATE.replace(old, new)))

    with pytest.raises(TemplateError, match=message):
        _build(THOUGHT, tokenizer)


def test_batches_change_nothing(qwen3):
    """Hundreds of conversations give what each gives alone, in order."""
    conversations = [(n, Conversation((Turn("user", f"问{n}"), Turn("assistant", f"答{n}", f"想{n}")))) for n in range(600)]
    builder = ExampleBuilder(qwen3, ExampleSettings(1000))
    together = [example for batch in builder.build(conversations) for example in batch]

    assert together == [build_examples(one, qwen3, ExampleSettings(1000), n)[0] for n, one in conversations]


WORDS = ["密码", "SM4", "\n\n", "<|im_end|>", "<|im_start|>", "</think>", "<think>", "<|endoftext|>", "e\u0301", *"🧪é\ufdd0a.1 \n"]
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map("".join).map(str.strip).filter(bool)
PAIR = st.tuples(TEXT, TEXT, st.none() | TEXT)


@pytest.mark.parametrize("model", ["qwen3", "smollm2"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(pairs=st.lists(PAIR, min_size=1, max_size=3), system=st.just("") | TEXT)
def test_what_is_learned_is_reasoning_tags_answer_and_end(request, model, pairs, system):
    """For any conversation of text, tags, control tokens and noncharacters, in any turn."""
    tokenizer = request.getfixturevalue(model)
    turns = [turn for q, a, r in pairs for turn in (Turn("user", q), Turn("assistant", a, r))]
    examples = _build(Conversation(tuple(turns), system), tokenizer)
    opening = "" if tokenizer.opens_thinking else "<think>\n"

    assert [example.turn for example in examples] == [2 * number + 1 for number in range(len(pairs))]
    for example, (_, answer, reasoning) in zip(examples, pairs, strict=True):
        learned = (f"{opening}{reasoning}\n</think>\n\n" if reasoning else "") + f"{answer}<|im_end|>"
        assert _composed(_text(example, tokenizer, THINKING, ANSWER)) == _composed(learned)
        prompt = tokenizer.prompt_ids(Conversation(tuple(turns[: example.turn]), system))
        assert list(example.ids[: len(prompt)]) == prompt and example.parts.count(PROMPT) == len(prompt)


def _composed(text):
    """Qwen3 composes accents before it encodes."""
    return text.replace("e\u0301", "é")


EDGES = st.sampled_from(["", "\n", " ", "\u3000", "\n\n", "<b>", "</think>", "\ufdd0"])
WORDS = st.builds(lambda first, text, last: f"{first}甲{text}{last}", EDGES, st.text("乙 a\n<", max_size=6), EDGES)


@given(st.lists(st.tuples(WORDS, WORDS, st.one_of(st.none(), WORDS), st.sampled_from(["", "预设"])), min_size=1, max_size=24), st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_put_into_a_frame_are_what_the_template_writes(qwen3, smollm2, rows, data):
    """Whatever white space and tags the texts hold, the quick way gives the layout of the template."""
    tokenizer, keep_empty = data.draw(st.sampled_from([qwen3, smollm2])), data.draw(st.booleans())
    frames = Frames(tokenizer, keep_empty)
    for question, answer, reasoning, system in rows:
        conversation = Conversation((Turn("user", question), Turn("assistant", answer, reasoning)), system)
        try:
            wanted = lay_out(conversation, tokenizer, keep_empty)
        except TemplateError:
            continue

        assert frames.lay_out(conversation, tokenizer.guard_for(conversation)) == wanted


def test_many_turns_are_encoded_as_one_by_one(qwen3):
    """Stretches between control tokens put together are the ids of the whole text, and parts start where they did."""
    pairs = [(Turn("user", f"问{number}？\n"), Turn("assistant", f" 答{number}。", f"想{number}\n")) for number in range(12)]
    turns = [turn for pair in pairs for turn in pair]
    texts = [qwen3.render_guarded(Conversation(tuple(turns[: 2 * count])), add_generation_prompt=False) for count in range(1, 13)]
    quick, slow = qwen3.encode_batch(texts), qwen3._encode_with_offsets(texts, continued=False)

    assert [one.ids for one in quick] == [one.ids for one in slow]
    for one, other, text in zip(quick, slow, texts, strict=True):
        assert [one.token_at(place) for place in range(len(text.text))] == [other.token_at(place) for place in range(len(text.text))]

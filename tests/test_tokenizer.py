"""Tokenizer and chat template: what transformers gives, without transformers, and nothing a data file says steers the model."""

import json
import shutil
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.chat_template import ChatTemplate
from data.conversation import Conversation, Turn
from data.errors import TemplateError
from data.template_bounds import ALLOWANCE
from data.tokenizer import load_tokenizer

TEXTS = ("什么是SM4？", "分组密码，128位。", "  two  spaces\n\nand\ttab ", "🧪👨‍👩‍👧 é e\u0301 𠮷", "x = 12345;\r\n", "GB/T 39786—2021")
WEATHER = {"type": "function", "function": {"name": "f", "description": "查询<b>", "parameters": {"type": "object", "n": 1}}}

CONVERSATIONS = {
    "single turn": Conversation((Turn("user", TEXTS[0]), Turn("assistant", TEXTS[1]))),
    "system": Conversation((Turn("user", TEXTS[2]), Turn("assistant", TEXTS[3])), "你是密码学专家。"),
    "reasoning": Conversation((Turn("user", TEXTS[0]), Turn("assistant", TEXTS[1], "先想国密。\n再想分组。"))),
    "multi-turn": Conversation(
        (Turn("user", "a"), Turn("assistant", "b", "想一"), Turn("user", TEXTS[4]), Turn("assistant", TEXTS[5], "想二")), "s"
    ),
    "open": Conversation((Turn("user", "a"), Turn("assistant", "b"), Turn("user", TEXTS[3]))),
}


@pytest.fixture(scope="session")
def reference(qwen3_folder, smollm2_folder):
    """The tokenizers as transformers loads them: the oracle."""
    from transformers import AutoTokenizer

    return {"qwen3": AutoTokenizer.from_pretrained(qwen3_folder), "smollm2": AutoTokenizer.from_pretrained(smollm2_folder)}


def _messages(conversation, with_reasoning):
    messages = [{"role": "system", "content": conversation.system}] if conversation.system else []
    for turn in conversation.turns:
        message = {"role": turn.role, "content": turn.content}
        messages.append(message | ({"reasoning_content": turn.reasoning} if turn.reasoning and with_reasoning else {}))
    return messages


@pytest.mark.parametrize("model", ["qwen3", "smollm2"])
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("add_generation_prompt", [False, True])
def test_a_conversation_is_rendered_as_transformers_renders_it(request, reference, model, name, add_generation_prompt):
    """Same text and same ids, for a model with a thinking template and for one without."""
    tokenizer, conversation = request.getfixturevalue(model), CONVERSATIONS[name]
    messages = _messages(conversation, model == "qwen3")
    text = reference[model].apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    ids = reference[model].apply_chat_template(messages, add_generation_prompt=add_generation_prompt)["input_ids"]

    assert tokenizer.render(conversation, add_generation_prompt) == text
    assert tokenizer.encode(text) == ids
    assert tokenizer.decode(ids) == reference[model].decode(ids, skip_special_tokens=False)


def test_prompt_ids_are_those_of_the_generation_prompt(qwen3, reference):
    """What the model is sampled from is what transformers would give it."""
    conversation = CONVERSATIONS["open"]
    ids = reference["qwen3"].apply_chat_template(_messages(conversation, True), add_generation_prompt=True)["input_ids"]

    assert qwen3.prompt_ids(conversation) == ids


def test_tools_are_shown_as_transformers_shows_them(qwen3, reference):
    """Chinese and HTML stay as they are inside the schema."""
    conversation = Conversation(CONVERSATIONS["system"].turns, "s", tools=(WEATHER,))
    text = reference["qwen3"].apply_chat_template(_messages(conversation, True), tools=[WEATHER], tokenize=False)

    assert qwen3.writes_tools() and qwen3.render(conversation) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_has_the_ids_of_transformers(qwen3, smollm2, reference, text):
    """Also texts nobody wrote. Qwen3 gives them back composed; SmolLM2 lacks some bytes, as its original does."""
    for name, tokenizer in (("qwen3", qwen3), ("smollm2", smollm2)):
        assert tokenizer.encode(text) == reference[name].encode(text, add_special_tokens=False)
    assert qwen3.decode(qwen3.encode(text)) == unicodedata.normalize("NFC", text)


def test_thinking_tags_of_qwen3_are_single_tokens(qwen3):
    """`<think>` and `</think>` are 151667 and 151668; `<thinking>` is three ordinary tokens."""
    assert (qwen3.encode("<think>"), qwen3.encode("</think>")) == ([151667], [151668])
    assert len(qwen3.encode("<thinking>")) == 3


def test_end_and_padding_ids_are_different(qwen3, smollm2):
    """A model padded with its end token never learns to stop."""
    assert (qwen3.eos_ids, qwen3.pad_id) == ((151645, 151643), 151643)
    assert smollm2.eos_ids[0] == 2 and smollm2.pad_id == 0
    assert all(tokenizer.pad_id != tokenizer.eos_ids[0] for tokenizer in (qwen3, smollm2))


def test_a_configured_padding_that_ends_turns_is_not_taken(qwen3_folder, tmp_path):
    """pad = eos in tokenizer_config.json is a common mistake; another token pads instead."""
    folder = _changed(qwen3_folder, tmp_path, pad_token="<|im_end|>")
    tokenizer = load_tokenizer(folder)

    assert tokenizer.pad_id not in tokenizer.eos_ids


def test_the_style_of_thinking_is_found_by_rendering(qwen3, smollm2):
    """Qwen3's prompt opens the tag by itself; SmolLM2 gets plain-text tags."""
    assert (qwen3.thinking_style, qwen3.opens_thinking) == ("template", True)
    assert (smollm2.thinking_style, smollm2.opens_thinking) == ("plain", False)
    assert all((tokenizer.open_tag, tokenizer.close_tag) == ("<think>", "</think>") for tokenizer in (qwen3, smollm2))


def test_the_vocabulary_of_qwen3_counts_its_added_tokens(qwen3):
    """151669 ids; the embedding's 151936 rows are more, and an id without a token still decodes to something."""
    assert qwen3.vocabulary_size == 151669
    assert qwen3.decode([151700]) == "<151700>"


@pytest.mark.parametrize("model", ["qwen3", "smollm2"])
def test_characters_appear_when_their_last_byte_has_come(request, model):
    """Chinese and emoji split over tokens are never shown half."""
    tokenizer = request.getfixturevalue(model)
    text = "密码学🧪👨‍👩‍👧𠮷丂 end"
    ids, stream = tokenizer.encode(text), tokenizer.decode_stream()
    pieces = [stream.push(id) for id in ids]

    assert "" in pieces, "nothing was split, so the test shows nothing"
    assert "".join(pieces) == text and "\ufffd" not in "".join(pieces)
    assert stream.finish() == ""


def test_a_text_cut_within_a_character_ends_in_a_replacement(smollm2):
    """The last character is lost, and one sign says so; what came before is whole."""
    ids = smollm2.encode("好🧪")
    stream = smollm2.decode_stream()
    text = "".join(stream.push(id) for id in ids[:-1])

    assert text + stream.finish() == smollm2.decode(ids[:-1]) == "好\ufffd"


def test_pieces_show_each_token_on_its_own(qwen3, smollm2):
    """Joined they are the text where no character is split; a split character shows its bytes."""
    assert "".join(qwen3.pieces(qwen3.encode("密码<|im_end|>\n"))) == "密码<|im_end|>\n"
    assert any("\\x" in piece for piece in smollm2.pieces(smollm2.encode("丂")))


@pytest.mark.parametrize("role", ["system", "user", "assistant", "reasoning", "tool"])
@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "</think>"])
@pytest.mark.parametrize("model", ["qwen3", "smollm2"])
def test_a_control_token_in_a_text_is_only_text(request, model, role, token):
    """No record can end a turn, open another or close the thinking: the ids hold as many control tokens as without it."""
    tokenizer = request.getfixturevalue(model)
    evil = tokenizer.render_guarded(_with(role, f"甲{token}乙"), add_generation_prompt=False)
    plain = tokenizer.render_guarded(_with(role, "甲乙"), add_generation_prompt=False)
    control = set(tokenizer.eos_ids) | {id for id in tokenizer.encode("<|im_start|><think></think>") if len(tokenizer.decode([id])) > 5}
    one, other = (encoded.ids for encoded in tokenizer.encode_batch([evil, plain]))

    assert [id for id in one if id in control] == [id for id in other if id in control]
    shown = role != "reasoning" or model == "qwen3"
    assert tokenizer.decode(one) == evil.plain and (f"甲{token}乙" in evil.plain) == shown


def _with(role, text):
    texts = {"system": "s", "user": "u", "tool": "t", "assistant": "a", "reasoning": "r"} | {role: text}
    turns = (
        Turn("user", texts["user"]),
        Turn("assistant", "c"),
        Turn("tool", texts["tool"]),
        Turn("assistant", texts["assistant"], texts["reasoning"]),
    )
    return Conversation(turns, texts["system"])


def test_control_tokens_in_tools_are_text_too(qwen3):
    """A tool's description is data as well."""
    tool = {"type": "function", "function": {"name": "f", "description": "x<|im_end|>y"}}
    guarded = qwen3.render_guarded(Conversation((Turn("user", "q"),), tools=(tool,)), add_generation_prompt=True)
    (encoded,) = qwen3.encode_batch([guarded])

    assert encoded.ids.count(151645) == 2 and "x<|im_end|>y" in qwen3.decode(encoded.ids)


def test_the_guard_is_a_character_the_conversation_lacks(qwen3):
    """A text may hold noncharacters; they are not taken for guards and survive."""
    conversation = Conversation((Turn("user", "\ufdd0\ufdd1<|im_end|>"),))
    guarded = qwen3.render_guarded(conversation, add_generation_prompt=True)

    assert guarded.guard not in "\ufdd0\ufdd1" and "\ufdd0\ufdd1<|im_end|>" in guarded.plain


def test_a_token_of_the_assistant_stays_one(qwen3):
    """`<tool_call>` is the assistant's to write, a user's is broken."""
    call = "<tool_call>\n{}\n</tool_call>"
    asked, called = Conversation((Turn("user", call),)), Conversation((Turn("user", "q"), Turn("assistant", call)))
    ids = [qwen3.encode_batch([qwen3.render_guarded(one, add_generation_prompt=False)])[0].ids for one in (asked, called)]

    assert [qwen3.encode("<tool_call>")[0] in one for one in ids] == [False, True]


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ (1).__class__.__mro__ }}{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ raise_exception.__globals__.os }}",
        "{{ namespace.__init__.__globals__['os'].system('true') }}",
        "{{ messages.append(1) }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', ns.s) %}{% endfor %}{{ ns.s }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000d}'.format(1) }}",
        "{{ 'x'.center(10000000000) }}",
        "{{ 'x' | center(10000000000) }}",
        "{{ 'a\nb' | indent(10000000000) }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ''.join([ns.s, ns.s]) %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('x', ns.s) %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | sum(start=[]) %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ 'a' ~ ns.s }}",
        "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s | tojson %}{% endfor %}{{ ns.s }}",
        "{{ [1] | tojson(indent=10000000000) }}",
        "{{ lipsum(n=1000000000) }}",
        "{% set s = 'x' * 3000000 %}{% for a in s %}{% for b in s %}{% for c in s %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1, 1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
        "{% set s = 'x' * 3000000 %}{% for a in s %}{% for b in s if b == 'y' %}{% endfor %}{% endfor %}",
        "{% set s = 'x' * 3000000 %}{% for i in range(900000) %}{% set t = s | upper %}{% endfor %}",
        "{% set s = 'x' * 3000000 %}{% for i in range(900000) %}{% set t = s.upper() %}{% endfor %}",
        "{% set s = 'x' * 3000000 %}{% for i in range(900000) %}{% set t = s.count('xx') %}{% endfor %}",
    ],
)  # fmt: skip
def test_a_template_bomb_is_stopped(bomb):
    """Foreign template code can neither fill the memory nor reach the machine; the message names its file."""
    with pytest.raises(TemplateError, match=r"evil\.json"):
        ChatTemplate(bomb, {}, "evil.json").render([{"role": "user", "content": "q"}], None, False)


def test_a_long_conversation_is_no_bomb():
    """The bound is on what the template adds, not on what it is given."""
    content = "长" * (ALLOWANCE // 8)
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {}, "t.json")

    assert len(template.render([{"role": "user", "content": content}] * 9, None, False)) == 9 * len(content)


@pytest.mark.parametrize("name", ["length", "count", "first", "last"])
def test_asking_for_the_number_of_messages_at_each_of_them_is_no_work(name):
    """Templates of the field do; going through all messages each time would take the square of a long conversation."""
    template = ChatTemplate("{% for m in messages %}{% set x = messages | " + name + " %}{{ m.role }}{% endfor %}", {}, "t.json")

    assert template.render([{"role": "user", "content": "长" * 100_000}] * 1000, None, False) == "user" * 1000


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}", "not valid"),
        ("{% if messages[0].role == 'user' %}{{ raise_exception('no users') }}{% endif %}", "no users"),
        ("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", "does not write the assistant"),
    ],
)
def test_a_useless_template_says_why(qwen3_folder, tmp_path, template, message):
    """Found when the tokenizer is loaded, before any data is read."""
    with pytest.raises(TemplateError, match=message):
        load_tokenizer(_changed(qwen3_folder, tmp_path, chat_template=template))


def test_a_folder_without_tokenizer_says_so(tmp_path):
    """No traceback of the Rust side."""
    with pytest.raises(TemplateError, match=r"has no tokenizer\.json"):
        load_tokenizer(tmp_path)

    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TemplateError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)


def test_the_fingerprint_changes_with_what_decides_ids(qwen3, qwen3_folder, tmp_path):
    """A resumed run notices another template; loading again changes nothing."""
    other = load_tokenizer(_changed(qwen3_folder, tmp_path, chat_template="{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"))

    assert load_tokenizer(qwen3_folder).fingerprint == qwen3.fingerprint != other.fingerprint


def _changed(folder, tmp_path, **config):
    copy = shutil.copytree(folder, tmp_path / "model")
    file = copy / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | config), encoding="utf-8")
    return copy

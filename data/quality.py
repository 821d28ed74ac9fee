"""What is wrong with what a conversation says: too short or long, repetition, refusals, the wrong language, the prompt in the answer.

Rules on text, without a model: each finding is a hint with its reason, and no record is dropped for it. The thresholds are those
that gave no false alarm worth the name on the field's public sets (docs/log.md). Damage of characters is `data.mojibake` and
`data.chinese`, duplicates `data.near_duplicates`, thinking tags `data.thinking`.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from data.chinese import language_shares, main_language, without_space
from data.conversation import Conversation, Turn

CHECKS = {
    "short_answer": "the answer is hardly a word; write it out or delete the record",
    "long_answer": "the answer is very long; cut it, split the record, or see what data.max_seq_length would drop",
    "repetition": "the same words again and again; models copy that first of all; delete the record or the repeats",
    "refusal": "the assistant refuses or speaks of itself as a model; delete the record unless that is what is to be learnt",
    "wrong_language": "the answer is in another language than the question; translate it or delete the record",
    "thinking_language": "the thinking is in another language than the answer; the model would learn to mix them",
    "prompt_in_answer": "the answer repeats the prompt; cut the repeat",
    "template_in_text": "control tokens or headings of a prompt template stand in the text; remove them",
    "thinking_is_answer": "the thinking and the answer are the same text; delete the thinking",
}
"""What each code means and its cure."""

SHORT = 2
"""Characters and words of an answer without thinking under which it is short."""
LONG = 20_000
"""Characters from which an answer is long: about 12,000 tokens."""
_LEAK = 16
"""Characters of a prompt that are no coincidence at the start of an answer."""
_LANGUAGE_UNITS = 20
"""A text of fewer characters, or of half as many different words, tells no language: `12 mod 7` is none."""
_ENOUGH = 1_000
"""Characters that tell the language of a text."""
_LANGUAGE_SHARE = 0.1
"""The language of the question makes up less than this of an answer in the wrong one."""
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 400, 0.22
"""Text this long that deflates to less is looked at for repetition; prose deflates to 0.4 and more, code and tables to 0.25."""
_REPEATED_SHARE, _REPEATED_TIMES = 0.5, 5
"""A sentence that occurs this often and makes up this share of a text is a loop."""

_START = 120
_REFUSAL = re.compile(
    r"(?:很|非常)?(?:抱歉|对不起|不好意思)[，,。！!、 ]*(?:但?(?:是)?)(?:我|作为|这个?|您|你|该)?[^。！\n]{0,24}"
    r"(?:无法|不能|不可以|没有办法|没办法|不会|没有能力|拒绝)"
    r"|我(?:无法|不能)(?:回答|提供|协助|帮助|满足|完成|处理|讨论|执行)"
    r"|作为(?:一个|一名|一款)?(?:人工智能|AI|ai|大型?语言模型|语言模型|聊天机器人|机器人)"
    r"|(?:我)?(?:只)?是一个?(?:人工智能|AI|大型?语言模型|语言模型)[^。\n]{0,16}(?:无法|不能|没有)"
    r"|(?i:as an? (?:ai|artificial intelligence|large language|language)(?: language)?(?: model| assistant)?\b"
    r"|i(?:'m| am) (?:sorry|afraid|unable)[^.\n]{0,40}(?:can(?:no|')t|cannot|unable|not able|won't)"
    r"|i (?:can(?:no|')t|cannot|won't|am unable to|am not able to) (?:help|assist|provide|answer|comply|do that|fulfil))"
)
_TOKEN = re.compile(
    r"<\|(?:im_start|im_end|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|user|assistant|system)\|>"
    r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<｜(?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)｜>"
)
_HEADING = re.compile(
    r"\n(?:\#{2,3} ?(?:Instruction|Response|Input|指令|回答|问题)[:：]?[ \t]*(?=\n|\Z)|(?:Human|Assistant|USER|ASSISTANT|人类|助手)[:：])"
)
_REFUSING = ("抱歉", "对不起", "不好意思", "无法", "不能", "作为", "一个", "s an ", "I'm", "I am", "I can", "I won", "i'm", "i am", "i can")
"""One of these is in each refusal: looking for them first saves most of the time."""
_FOREIGN = re.compile(
    "翻译|译成|英文|英语|中文|汉语|日语|法语|德语|俄语|韩语|语言|代码|编程|程序|函数|单词"
    "|translat|english|chinese|language|code",
    re.IGNORECASE,
)
"""Words of a question that ask for another language, or for code, which is in none."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|\$\$?[^$]+\$\$?", re.DOTALL)
_UNIT = re.compile("[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]|[A-Za-z\u00c0-\u04ff]+")
_SENTENCE = re.compile(r"[^。！？!?；;\n]{4,}")


class Finding(NamedTuple):
    """code: of `CHECKS`.  turn: number of the turn in the conversation.  text: what was seen, short."""

    code: str
    turn: int
    text: str


def findings(conversation: Conversation) -> list[Finding]:
    """All that the checks find in one conversation, in the order of its turns."""
    found: list[Finding] = []
    question = ""
    for number, turn in enumerate(conversation.turns):
        found += (Finding(code, number, text) for code, text in _in_any(turn))
        if turn.role == "assistant":
            found += (Finding(code, number, text) for code, text in _in_answer(turn, question, conversation.system))
        elif turn.role == "user":
            question = turn.content
    return found


def _in_any(turn: Turn) -> Iterator[tuple[str, str]]:
    for text in (turn.content, turn.reasoning or ""):
        match = _TOKEN.search(text) if "<" in text or "[" in text else None
        if match := match or _HEADING.search("\n" + text):
            yield "template_in_text", match[0].strip()


def _in_answer(turn: Turn, question: str, system: str) -> Iterator[tuple[str, str]]:
    answer, reasoning = turn.content, turn.reasoning
    if len(answer) <= _START and not reasoning and _units(answer) < SHORT and not any(c.isdigit() for c in answer):
        yield "short_answer", answer.strip()
    if len(answer) >= LONG:
        yield "long_answer", f"{len(answer):,} characters"
    for text in (answer, reasoning or ""):
        if repeated := _repetition(text):
            yield "repetition", repeated
    start = answer[:_START]
    if any(word in start for word in _REFUSING) and (match := _REFUSAL.search(start)):
        yield "refusal", match[0]
    if reasoning and reasoning.strip() == answer.strip():
        yield "thinking_is_answer", _shortened(answer)
    yield from _languages(question, answer, reasoning)
    if leaked := _leak(question, answer) or _leak(system, answer):
        yield "prompt_in_answer", leaked


def _units(text: str) -> int:
    """Characters of Chinese and words of an alphabet."""
    return len(_UNIT.findall(text))


def _repetition(text: str) -> str:
    """The sentence or stretch that makes up most of a long text, '' for none. zlib goes first: it is fast and sees any period."""
    if len(text) < _SUSPICIOUS_BYTES // 3:
        return ""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) < _SUSPICIOUS_BYTES or len(zlib.compress(encoded, 1)) > _SUSPICIOUS_RATIO * len(encoded):
        return ""
    counts = Counter(sentence.strip() for sentence in _SENTENCE.findall(text))
    for sentence, count in counts.most_common(3):
        if count >= _REPEATED_TIMES and count * len(sentence) >= _REPEATED_SHARE * len(text):
            return f"{_shortened(sentence)} × {count}"
    return _tail_loop(text)


def _tail_loop(text: str) -> str:
    """The period in which a text runs out, as models do that have lost the thread; '' for none."""
    tail = text.rstrip()[-600:]
    for period in range(2, len(tail) // 6):
        part = tail[-period:]
        times = 1
        while tail.endswith(part * (times + 1)):
            times += 1
        if times >= 6 and times * period >= 120 and any(character.isalnum() for character in part):
            return f"… {_shortened(part)} × {times}"
    return ""


def _languages(question: str, answer: str, reasoning: str | None) -> Iterator[tuple[str, str]]:
    if len({language for text in (question, answer, reasoning or "") if (language := _language(_prose(text)))}) < 2:
        return  # as nearly always, and the rest costs more
    said = _main_language(answer)
    if not said:
        return
    asked = _main_language(question)
    if asked and asked != said and _is_absent(asked, answer) and not _FOREIGN.search(question):
        yield "wrong_language", f"asked in {asked}, answered in {said}"
    thought = _main_language(reasoning) if reasoning else ""
    if thought and thought != said and _is_absent(said, reasoning or "") and not _FOREIGN.search(question):
        yield "thinking_language", f"thought in {thought}, answered in {said}"


def _main_language(text: str) -> str:
    """The language of most of a text without its code and formulas, '' where there are too few words to say."""
    prose = _prose(text)
    language = _language(prose)
    return language if language and _has_units(prose) else ""


def _prose(text: str) -> str:
    """The beginning of a text without its code and formulas."""
    prose = text[:_ENOUGH]
    return _CODE.sub(" ", prose) if "`" in prose or "$" in prose else prose


def _language(prose: str) -> str:
    return main_language(prose, 0.6) if len(prose) >= _LANGUAGE_UNITS else ""


def _has_units(prose: str) -> bool:
    """Whether a text has enough different words for its language to be told; most show it in their first few."""
    enough = _LANGUAGE_UNITS // 2
    # The last word of the shorter start may be cut, and so be one that is none.
    return _different_units(prose[: 2 * _LANGUAGE_UNITS]) > enough or _different_units(prose[: 20 * _LANGUAGE_UNITS]) >= enough


def _different_units(text: str) -> int:
    return len(set(_UNIT.findall(text)))


def _is_absent(language: str, text: str) -> bool:
    return language_shares(_CODE.sub(" ", text)).get(language, 0) < _LANGUAGE_SHARE


def _leak(prompt: str, answer: str) -> str:
    """The beginning of an answer that repeats all of a prompt, '' for none."""
    prompt = without_space(prompt)
    if len(prompt) < _LEAK:
        return ""
    start = without_space(answer[: 3 * len(prompt) + 20])
    return _shortened(prompt) if start.startswith(prompt) and start != prompt else ""


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"

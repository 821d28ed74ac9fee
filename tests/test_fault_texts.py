"""Faults in the user's words: every code has a name and a meaning, and what was seen is never lost."""

import pytest
import tomli

from data.fixes import FIXES
from data.quality import CHECKS
from data.record import Fault
from data.text_checks import DAMAGE
from data.thinking import FAULTS
from tui import texts
from tui.faults import fault_text

CATALOGUE = tomli.loads((texts.FOLDER / "data.toml").read_text(encoding="utf-8"))


@pytest.fixture(params=["en", "zh"], autouse=True)
def language(request):
    texts.set_language(request.param)
    return request.param


def test_each_code_has_a_name_and_a_meaning():
    """Fixes that no fault stands for have a name only."""
    named, explained = CATALOGUE["code"].keys(), CATALOGUE["about"].keys()

    assert explained <= named and named - explained <= set(FIXES)
    assert CHECKS.keys() | DAMAGE.keys() | FAULTS.keys() <= explained


@pytest.mark.parametrize("code", CHECKS | DAMAGE | FAULTS)
def test_a_fault_speaks_one_language_and_says_what_was_seen(code, language):
    """The meaning in the user's language stands in place of the English one, the field before it, the value behind it."""
    meaning = (CHECKS | DAMAGE | FAULTS)[code]
    told = fault_text(Fault(3, "turn 2", code, f"{meaning}: 对应的值"))

    assert (meaning in told) == (language == "en")
    assert ("turn 2: " if language == "en" else "第 2 轮: ") in told and told.endswith("对应的值")
    assert fault_text(Fault(3, "", code, meaning)).endswith(meaning if language == "en" else CATALOGUE["about"][code]["zh"])


def test_a_sentence_that_is_made_of_values_follows_whole(language):
    """Its values cannot be taken out of it."""
    told = fault_text(Fault(3, "output", "wrong_type", "'output' is 5; it must be a text"))

    assert told.endswith("'output' is 5; it must be a text") and told.startswith("wrong type: '" if language == "en" else "类型不符：字段")


@pytest.mark.parametrize(
    ("code", "sentence", "seen"),
    [
        ("broken_json", "not valid JSON (Expecting value at column 33); repair the record or delete it", "Expecting value at column 33"),
        ("empty", "'output' is empty; fill it in or delete the record", "'output'"),
        ("too_deep", "nested too deeply to be a record; flatten it", ""),
    ],
)
def test_a_sentence_that_its_meaning_says_already_is_not_said_twice(code, sentence, seen, language):
    """In Chinese only what was seen follows, in English the sentence stays."""
    about = CATALOGUE["about"][code]["zh"]

    assert fault_text(Fault(3, "", code, sentence)).endswith(sentence if language == "en" else f"{about}：{seen}" if seen else about)

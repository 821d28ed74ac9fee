"""The catalogues: every text in both languages, every text that is asked for exists, with the values it needs."""

import ast
import re
import string
from pathlib import Path

import pytest
import tomli

from engine.answers import refusal
from engine.errors import RunError
from tui import texts
from tui.error_text import error_text

COUNTED = (
    "records", "examples", "exercises", "tokens", "terms", "groups", "steps", "runs", "threads", "processes", "cores", "lines", "rows",
    "checks",
)  # fmt: skip
FROM_THE_ENGINE = ("doctor.found.", "hardware.note.")
"""Sentences that the engine says in English too, word for word."""

TUI = Path(texts.__file__).parent
KEY = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def entries(namespace, table, prefix=""):
    for name, value in table.items():
        key = f"{prefix}{name}"
        if set(value) <= {"en", "zh"} and all(isinstance(text, str) for text in value.values()):
            yield f"{namespace}.{key}", value
        else:
            yield from entries(namespace, value, f"{key}.")


CATALOGUE = {
    key: entry
    for path in sorted(texts.FOLDER.glob("*.toml"))
    for key, entry in entries(path.stem, tomli.loads(path.read_text(encoding="utf-8")))
}
SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TUI.rglob("*.py"))}


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def shown(text):
    """Placeholders but for those that only choose a word, which one language may need and the other not."""
    return {name for _, name, spec, _ in string.Formatter().parse(text) if name and "|" not in spec}


def asked_for():
    """(file:line, key, names of the values given or None) for each literal key in tr(…), has(…) and bind(…)."""
    for path, tree in SOURCES.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            position = {"tr": 0, "bind": 2}.get(call.func.id)
            if position is None or len(call.args) <= position or not isinstance(call.args[position], ast.Constant):
                continue
            names = None if any(word.arg is None for word in call.keywords) else {word.arg for word in call.keywords}
            yield f"{path.relative_to(TUI)}:{call.lineno}", call.args[position].value, names if call.func.id == "tr" else None


@pytest.mark.parametrize("path", sorted(texts.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_text_is_there_in_both_languages_with_the_same_placeholders(path):
    """A text that only one language has, or that names other values, would crash or mislead half of the users."""
    faults = []
    for key, entry in entries(path.stem, tomli.loads(path.read_text(encoding="utf-8"))):
        # English help for a configuration comes from the schema, a preset's note is its first line, faults and errors have sentences.
        wanted = {"zh"} if key.startswith(("config.help.", "config.preset.", "data.about.", "errors.")) else {"en", "zh"}
        if set(entry) != wanted or not all(entry.values()):
            faults.append(f"{key} is not in both languages")
        elif "en" in entry and shown(entry["en"]) != shown(entry["zh"]):
            faults.append(f"{key}: {shown(entry['en'])} against {shown(entry['zh'])}")

    assert faults == []


def test_every_text_that_is_asked_for_exists():
    """No literal key in the console's code is missing from its catalogue."""
    missing = [f"{where} asks for {key}" for where, key, _ in asked_for() if key not in CATALOGUE]

    assert missing == []


def test_every_text_gets_the_values_it_names():
    """A placeholder without its value would show braces, or crash."""
    wrong = [
        f"{where}: {key} needs {placeholders(CATALOGUE[key]['en'])}, is given {names}"
        for where, key, names in asked_for()
        if key in CATALOGUE and names is not None and not placeholders(CATALOGUE[key]["en"]) <= names
    ]

    assert wrong == []


@pytest.mark.parametrize("namespace", ["train", "runs", "common", "help"])
def test_no_text_is_left_over(namespace):
    """A text that no code can ask for is dead weight for its translators."""
    literals, patterns = set(), []
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.fullmatch(node.value):
                literals.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in node.values]
                patterns.append(re.compile("".join(parts)))
    patterns = [pattern for pattern in patterns if re.match(r"[a-z_]+\\\.", pattern.pattern)]
    ours = [key for key in CATALOGUE if key.startswith(f"{namespace}.") and not key.endswith("_help")]
    left = [key for key in ours if key not in literals and not any(pattern.fullmatch(key) for pattern in patterns)]

    assert left == []


def test_the_language_is_the_users(monkeypatch):
    """--lang decides, else the locale."""
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    texts.set_language("auto")
    assert texts.tr("train.state.training") == "训练中"

    monkeypatch.setenv("LANG", "C.UTF-8")
    texts.set_language("auto")
    assert texts.tr("train.state.training") == "training"

    texts.set_language("zh")
    assert texts.language() == "zh"
    texts.set_language("en")


def test_one_of_something_is_not_called_several():
    """A text chooses its word by the number, whether that comes as a number or ready to be read."""
    told = [texts.tr("data.records", count=count) for count in (0, 1, "1", 2, "1,000")]

    assert told == ["0 records", "1 record", "1 record", "2 records", "1,000 records"]


def test_no_count_stands_before_a_fixed_plural():
    """ "1 threads": a number goes with a word that is chosen by it. Parts of a whole ("1 of 30 layers"), bounds and rates do not."""
    fixed = re.compile(rf"(?<!of )(?<!≤ )\{{\w+\}} (?:more |different )?({'|'.join(COUNTED)})\b(?!/)")
    ours = {key: entry["en"] for key, entry in CATALOGUE.items() if "en" in entry and not key.startswith(FROM_THE_ENGINE)}

    assert {key: text for key, text in ours.items() if fixed.search(text)} == {}


def test_keys_are_called_by_words():
    """What --ascii may not show stands in no text; the legends of signs come in two."""
    signs = {key: entry for key, entry in CATALOGUE.items() if set("←→↑↓⏎␣▲✗✎⊘◆●○█▅") & set("".join(entry.values()))}

    assert signs.keys() == {"data.signs"}


def test_an_unknown_name_is_no_crash():
    """Names that only a newer engine knows are asked about first."""
    assert not texts.has("train.phase.telepathy")
    assert not texts.has("train.phase")
    assert not texts.has("train.reason.a. b")
    assert not texts.has("nowhere.at.all")


def coded_errors():
    """(file:line, code, names of its values) for each error of the engine and of data that has a code."""
    for path in sorted(path for folder in ("data", "engine") for path in (TUI.parent / folder).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
            is_raised = isinstance(call.func, ast.Name) and (call.func.id.endswith(("Error", "Fault", "Full")) or call.func.id == "kind")
            if is_raised and len(call.args) == 2 and isinstance(call.args[1], ast.Constant):
                yield f"{path.name}:{call.lineno}", call.args[1].value, {word.arg for word in call.keywords}
    yield "answerer.py", "out_of_memory", {"words"}


def test_an_error_with_a_code_is_said_in_chinese_with_its_own_values():
    """And no text is left for a code that nobody raises."""
    raised = list(coded_errors())
    wrong = [
        f"{where}: {code}" for where, code, names in raised if placeholders(CATALOGUE.get(f"errors.{code}", {"zh": "{?}"})["zh"]) - names
    ]

    assert len(raised) > 20 and wrong == []
    assert {key for key in CATALOGUE if key.startswith("errors.")} == {f"errors.{code}" for _, code, _ in raised}


def test_an_error_speaks_the_users_language_as_far_as_it_can():
    """Of a code that this console does not know, from a newer engine, the sentence itself."""
    known = RunError("a: has no checkpoint yet; …", "no_checkpoint", name="a")
    told = {}
    for language in ("en", "zh"):
        texts.set_language(language)
        told[language] = [error_text(error) for error in (known, refusal("", known), RunError("new", "of_tomorrow"), RunError("plain"))]

    texts.set_language("auto")
    assert told["en"] == [str(known), str(known), "new", "plain"]
    assert told["zh"] == 2 * [CATALOGUE["errors.no_checkpoint"]["zh"].format(name="a")] + ["new", "plain"]

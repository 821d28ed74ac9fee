"""The gate: what comes out is harmless on a terminal and reads as what went in."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import gate
from tui.widgets.lines import line_cells, wrap

ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\u202e\u2066\u200b\ufeff\t\n\r\x00\x7f[]丹炉"))
HARMLESS_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Visible signs that Unicode files under format characters: Arabic and Kaithi number marks."""
HARMLESS_RANGES = ((0x13430, 0x1343F), (0x1BCA0, 0x1BCA3))
"""Egyptian and shorthand format controls, which no terminal obeys."""


def is_harmless(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character in HARMLESS_FORMATS or any(low <= ord(character) <= high for low, high in HARMLESS_RANGES)
    return category not in ("Cc", "Cs", "Zl", "Zp")


@given(ANY)
def test_only_harmless_characters_come_out(text):
    """No control, surrogate, bidirectional or zero-width control passes; a newline only where lines are meant."""
    assert all(map(is_harmless, gate.safe(text)))
    assert all(is_harmless(character) for character in gate.safe_lines(text) if character != "\n")


@given(ANY)
def test_passing_the_gate_twice_changes_nothing(text):
    """What is safe is safe."""
    assert gate.safe(gate.safe(text)) == gate.safe(text)
    assert gate.safe_lines(gate.safe_lines(text)) == gate.safe_lines(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u115f\u1160\u3164\uffa0\ufffc")))
def test_ordinary_text_is_untouched(text):
    """Chinese, markup-like brackets, emoji and signs read as written."""
    assert gate.safe_lines(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[/b] [TODO]", "[/b] [TODO]"),
        ("\x1b]52;c;QUFB\x07", "␛]52;c;QUFB␇"),
        ("a\x9b31mb", "a⟨U+009B⟩31mb"),
        ("abc\u202ecba", "abc⟨U+202E⟩cba"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("tab\there", "tab    here"),
        ("one\r\ntwo", "one␍␊two"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("❤\ufe0f", "❤"),
    ],
)
def test_dangerous_text_is_made_visible(text, shown):
    """Escape sequences, C1 codes, direction overrides and invisible characters are seen, not obeyed."""
    assert gate.safe(text) == shown


def test_naughty_strings_are_harmless(shared_data):
    """The Big List of Naughty Strings passes the gate and fits its columns."""
    (path,) = [*shared_data.glob("blns*.json"), *shared_data.glob("blns/*.json")][:1]
    strings = json.loads(path.read_text(encoding="utf-8"))

    for text in strings:
        assert all(map(is_harmless, gate.safe(text))), text
        assert gate.cells(gate.pad(gate.safe(text), 30)) == 30, text


@given(ANY.map(gate.safe), st.integers(1, 40))
def test_a_column_has_its_width(text, width):
    """`pad` fills exactly, `clip` never exceeds, measured in terminal cells."""
    assert gate.cells(gate.clip(text, width)) <= width
    assert gate.cells(gate.clip_start(text, width)) <= width
    assert gate.cells(gate.pad(text, width)) == width
    assert gate.cells(gate.pad(text, width, right=True)) == width


@given(ANY.map(gate.safe), st.integers(2, 40))
def test_wrapped_lines_fit_and_lose_only_blanks(text, width):
    """Wrapping keeps every character but blanks at a line's edge."""
    lines = wrap([(text, "answer")], width)

    assert all(line_cells(line) <= width for line in lines)
    assert "".join("".join(part for part, _ in line) for line in lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["每步 36,212 s）", "把握 99.9 %", "（共 12 GiB）。"])
def test_nothing_that_closes_begins_a_line(text):
    """Chinese sets a bracket, a full stop and a per cent sign behind what they belong to, Latin letters included."""
    for width in range(9, 20):
        starts = {"".join(part for part, _ in line).lstrip()[:1] for line in wrap([(text, "")], width)}

        assert not starts & set("）。%"), width


def test_content_keeps_brackets_as_text():
    """Content objects carry outside text; markup never sees it."""
    assert gate.styled("[/b] [red]x[/red]\nsecond", "bold").plain == "[/b] [red]x[/red]\nsecond"

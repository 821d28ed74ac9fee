"""Records mended on the data screen by its keys: typed anew, left out, taken back, saved as a new file; nothing lost when it dies."""

import json
import os

import pytest

from data.reading import read_file
from tests.test_data_screen import RECORDS, opened, page_text, screen_text, until
from tui import gate, texts
from tui.screens.data_filter import Filter, offers
from tui.widgets.text_editor import SafeTextArea, TextEditor

BROKEN = [*RECORDS, {"instruction": "没有回答？", "output": ""}]


@pytest.fixture(autouse=True)
def _english(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts.set_language("en")


@pytest.fixture
def source(tmp_path):
    """Four usable records, one without an answer, and a line that is no JSON."""
    path = tmp_path / "data.jsonl"
    lines = [json.dumps(record, ensure_ascii=False) for record in BROKEN]
    path.write_text("\n".join([*lines, '{"instruction": "断了"']) + "\n", encoding="utf-8")
    return path


async def in_editor(pilot):
    await until(pilot, lambda: isinstance(pilot.app.screen, TextEditor) and pilot.app.screen.query(SafeTextArea))
    return pilot.app.screen.query_one(SafeTextArea)


async def show_unusable(pilot):
    """The list of what gave no record, by its filter."""
    offered = [wanted for wanted, _ in offers(pilot.app.screen.table, ())]
    await pilot.press("f", *["j"] * offered.index(Filter("state", "unusable")), "enter")


def die(screen):
    """As if the console were killed: its lock is gone, and it says and tidies nothing."""
    os.close(screen.editing.journal._fd)
    screen.editing.journal._fd = None


async def save_as(pilot, path):
    await pilot.press("w", "ctrl+u", *str(path), "enter")
    await until(pilot, path.exists)


async def test_unusable_record_is_mended_and_the_saved_file_reads_back(source, tmp_path):
    """The empty field is offered first; once it is filled in, the record is one, and the new file holds it in its place."""
    before, target = source.read_bytes(), tmp_path / "new.jsonl"
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await show_unusable(pilot)
        await pilot.press("e", "enter")
        await in_editor(pilot)
        await pilot.press(*"现在有了", "escape", "enter")
        await until(pilot, lambda: screen.table.edits.is_unsaved)

        assert "L5" in screen_text(pilot)[4] and "✎" in screen_text(pilot)[4]
        assert "1 edited, unsaved" in screen_text(pilot)[1]
        await save_as(pilot, target)
        await until(pilot, lambda: not screen.table.edits.is_unsaved)
    saved = read_file(target)

    assert [record.raw for record in saved.records] == [*RECORDS, BROKEN[4] | {"output": "现在有了"}] and saved.invalid == 0
    assert source.read_bytes() == before


async def test_text_that_is_no_json_can_be_repaired_as_a_whole(source):
    """A broken line is edited as it stands; what still breaks is told and stays in the editor."""
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await show_unusable(pilot)
        await pilot.press("j", "e")
        area = await in_editor(pilot)
        await pilot.press("end", *', "output": "好"', "escape", "enter")
        await until(pilot, lambda: any("not valid JSON" in note.message for note in pilot.app._notifications))
        area = await in_editor(pilot)

        assert area.text == '{"instruction": "断了", "output": "好"'
        await pilot.press("end", "}", "escape", "enter")
        await until(pilot, lambda: screen.table.edits.is_unsaved)
        assert screen.table.conversation(-2).turns[1].content == "好"


async def test_damaged_characters_are_offered_before_and_after_and_taken_one_by_one(source):
    """Nothing is changed until it is chosen; one step takes it back; a sound record has nothing to offer."""
    damaged = {"instruction": "ＳＭ４是什么\u200b？", "output": "a block cipher"}
    source.write_text(json.dumps(damaged) + '\n{"instruction": "what", "output": "nothing odd here"}\n', encoding="utf-8")
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await pilot.press("m")
        await until(pilot, lambda: pilot.app.screen is not screen)
        dialog = "\n".join(screen_text(pilot))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: screen.table.edits.is_unsaved)

        assert r"'ＳＭ４是什么\u200b？' → 'SM4是什么" in dialog
        assert screen.table.raw(0) == damaged | {"instruction": "SM4是什么\u200b？"}
        await pilot.press("u")
        assert screen.table.raw(0) == damaged
        await pilot.press("j", "m")
        await until(pilot, lambda: any("nothing to repair" in note.message for note in pilot.app._notifications))


async def test_all_that_is_shown_is_repaired_as_one_step(source):
    """M finds what there is in the background and asks by kind; what is sound or no record stays, what is left out is so still."""
    damaged = [{"instruction": "ＳＭ４", "output": f"a block\u200b cipher {number}"} for number in range(3)]
    sound = {"instruction": "what", "output": "nothing odd here"}
    source.write_text("".join(json.dumps(one) + "\n" for one in [*damaged, sound]) + "[1]\n", encoding="utf-8")
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await pilot.press("x", "M")
        await until(pilot, lambda: pilot.app.screen is not screen)
        dialog = " ".join("\n".join(screen_text(pilot)).split())
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.table.changed_rows()) == 3)

        assert "all of them · 3" in dialog and "full-width" in dialog
        assert [screen.table.raw(row)["instruction"] for row in range(4)] == ["SM4", "SM4", "SM4", "what"]
        assert not any("\u200b" in screen.table.raw(row)["output"] for row in range(4))
        assert [screen.table.is_left_out(row) for row in range(3)] == [True, False, False]
        await pilot.press("u")
        assert [screen.table.raw(row) for row in range(3)] == damaged and screen.table.is_left_out(0)
        await pilot.press("U", "M")
        await until(pilot, lambda: any("nothing to repair" in note.message for note in pilot.app._notifications))


async def test_a_record_is_written_in_the_other_script_on_request(source):
    """Traditional into Simplified by OpenCC's words, shown before it is taken."""
    source.write_text(json.dumps({"instruction": "對稱密碼學", "output": "頭髮、發展"}) + "\n", encoding="utf-8")
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await pilot.press("m")
        await until(pilot, lambda: pilot.app.screen is not screen)
        shown = "\n".join(screen_text(pilot))
        assert "in Simplified characters" in shown and "'對稱密碼學' → '对称密码学'" in shown
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.edits.is_unsaved)

        assert screen.table.raw(0) == {"instruction": "对称密码学", "output": "头发、发展"}


async def test_left_out_records_are_not_saved_and_undo_brings_them_back(source, tmp_path):
    """x leaves out and goes on, u takes back, U does it again."""
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await pilot.press("x", "x")

        assert [screen.table.mark(row) for row in range(3)] == ["left_out", "left_out", "duplicate"]
        await pilot.press("u")
        assert screen.table.mark(1) == "" and screen.browser.row == 1
        await pilot.press("U", "u", "u", "u")
        assert len(screen.table.edits) == 0 and not screen.table.edits.is_unsaved
        await pilot.press("U")
        await save_as(pilot, tmp_path / "new.json")
        await until(pilot, lambda: not screen.table.edits.is_unsaved)
    assert [record.raw["output"] for record in read_file(tmp_path / "new.json").records] == [one["output"] for one in RECORDS[1:]]


async def test_all_that_is_shown_is_left_out_as_one_step(source):
    """X asks first, works in the background, and u takes all of it back; what is no record is left out too."""
    async with opened(source) as pilot:
        screen = pilot.app.screen
        screen.browser._filter((Filter("thinking", "with"),))
        await pilot.press("X", "y")
        await until(pilot, lambda: screen.table.edits.is_unsaved)

        assert screen.table.changed_rows() == [0, 2] and all(map(screen.table.is_left_out, (0, 2)))
        screen.browser._filter((Filter("state", "left_out"), Filter("difficulty", "hard")))
        assert list(screen.browser.records.numbers) == [2]
        await pilot.press("u")
        assert screen.table.changed_rows() == []
        await pilot.press("escape")
        await show_unusable(pilot)
        await pilot.press("X", "y")
        await until(pilot, lambda: screen.table.edits.is_unsaved)
        assert screen.table.changed_rows() == [-2, -1]


async def test_a_file_that_is_there_is_only_written_over_after_yes(source, tmp_path):
    """And the file being edited not even then."""
    there = tmp_path / "there.jsonl"
    there.write_text("mine")
    async with opened(source) as pilot:
        await pilot.press("w", "ctrl+u", *str(there), "enter")
        await pilot.press("n")
        assert there.read_text() == "mine"
        await pilot.press("w", "ctrl+u", *str(there), "enter", "y")
        await until(pilot, lambda: there.read_text() != "mine")
        await pilot.press("w", "ctrl+u", *str(source), "enter")
        await until(pilot, lambda: any("never changed" in note.message for note in pilot.app._notifications))


async def test_what_was_typed_is_offered_by_the_next_console(source):
    """A step that was made and a text that was being typed are both there again; what a person wants aside is put aside."""
    async with opened(source) as pilot:
        await pilot.press("x", "e", "enter")
        await in_editor(pilot)
        await pilot.press(*"半句")
        die(pilot.app.screen_stack[0])
    async with opened(source) as pilot:
        screen = pilot.app.screen_stack[0]
        await until(pilot, lambda: pilot.app.screen is not screen)
        assert "Unsaved edits of an earlier console: 1" in "\n".join(screen_text(pilot))
        await pilot.press("enter")
        area = await in_editor(pilot)

        assert area.text.startswith("半句") and screen.table.mark(0) == "left_out"
        await pilot.press("escape", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert len(screen.table.edits.positions()) == 2
        die(screen)
    async with opened(source) as pilot:
        await until(pilot, lambda: pilot.app.screen is not pilot.app.screen_stack[0])
        await pilot.press("j", "enter")
        await until(pilot, lambda: not pilot.app.screen.table.edits.is_unsaved)
    async with opened(source) as pilot:
        assert not pilot.app.screen.editing.waiting


async def test_edits_of_a_record_that_changed_in_the_file_are_not_restored(source):
    """They would be put on another text; the others are restored, and it is said."""
    async with opened(source) as pilot:
        await pilot.press("x", "x")
        die(pilot.app.screen)
    lines = source.read_text(encoding="utf-8").splitlines()
    source.write_text("\n".join([json.dumps({"instruction": "新的", "output": "换了"}, ensure_ascii=False), *lines[1:]]), encoding="utf-8")
    async with opened(source) as pilot:
        screen = pilot.app.screen_stack[0]
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("enter")
        await until(pilot, lambda: any("1 record has been changed" in note.message for note in pilot.app._notifications))

        assert screen.table.edits.positions() == [1]


async def test_control_characters_are_shown_in_the_editor_and_come_back_unchanged(source, tmp_path):
    """What is not touched stays as it was, byte by byte; what is typed or pasted beside it is safe."""
    harmful = "红\x1b[31m\x9b\u202e文\r\n\t⟨U+0041⟩❤️"
    source.write_text(json.dumps({"instruction": harmful, "output": "x"}) + "\n")
    async with opened(source) as pilot:
        screen = pilot.app.screen
        await pilot.press("e", "enter")
        area = await in_editor(pilot)
        assert "\x1b" not in area.text and "⟨U+001B⟩" in area.text
        area.insert("贴\x07入", (0, 0))
        assert "\x07" not in area.text
        await pilot.press("escape", "enter")
        await until(pilot, lambda: screen.table.edits.is_unsaved)

        assert screen.table.raw(0)["instruction"] == "贴\x07入" + harmful


async def test_an_edited_record_is_counted_searched_and_filtered_as_it_is_now(source, qwen3_folder):
    """Tokens, labels and texts of a changed record are the new ones at once."""
    async with opened(source, qwen3_folder) as pilot:
        screen = pilot.app.screen
        table, before = screen.table, screen.table.tokens(1)
        await pilot.press("j", "e", "j", "enter")
        await in_editor(pilot)
        await pilot.press(*"独一无二 ", "escape", "enter")
        await until(pilot, lambda: table.edits.is_unsaved)

        assert table.tokens(1) > before and list(table.search("独一无二")) == [1]
        await pilot.press("enter")
        assert "独一无二 A block cipher." in page_text(pilot) and "changed, not yet" in page_text(pilot)
        await pilot.press("u")
        assert table.tokens(1) == before and list(table.search("独一无二")) == [] and len(table.lengths()) == 4


@pytest.mark.parametrize("text", ["a\x1b[31mb\r\n\t⟨U+001B⟩", "⟨U+", "❤️\u202e\x85\u2028\U000e0001", "纯文本\n第二行"])
def test_escaped_text_comes_back(text):
    assert gate.unescaped(gate.escaped(text)) == text
    assert "\x1b" not in gate.escaped(text)

"""The data screen by its keys: what it shows, what it says of a bad file, and that outside text stays harmless."""

import json
import re
from contextlib import asynccontextmanager

import pytest
import tomli

from data.chinese import LANGUAGES
from data.inspection import inspect
from data.reading import read_file
from data.term_list import entries
from data.text_checks import NO_LETTERS
from engine.config_file import Document
from tests.tokenizers import qwen3_tokenizer_folder, smollm2_tokenizer_folder
from tui import texts
from tui.app import DanluApp
from tui.glyphs import UNICODE
from tui.screens.data import DataScreen
from tui.screens.data_filter import Filter, offers
from tui.screens.data_summary import summary_lines
from tui.screens.data_table import RecordTable
from tui.session import Session
from tui.widgets.token_view import STYLES

RECORDS = [
    {"instruction": "什么是SM4？", "output": "<thinking>国密算法</thinking>分组密码。", "difficulty": "easy", "category": "对称"},
    {"instruction": "What is AES?", "output": "A block cipher.", "difficulty": "easy", "category": "symmetric"},
    {"instruction": "什么是SM4？", "output": "<thinking>另一种想法</thinking>分组密码。", "difficulty": "hard", "category": "对称"},
    {"instruction": "什么是杂凑？", "output": "<think></think>SM3 输出 256 位。"},
]
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(autouse=True)
def _english(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    texts.set_language("en")


@pytest.fixture
def data_file(tmp_path):
    """Writes records as JSON lines and gives the path."""

    def write(records, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory):
    """Folder of the real Qwen3 tokenizer."""
    return qwen3_tokenizer_folder(tmp_path_factory.mktemp("qwen3"))


@asynccontextmanager
async def opened(path, model="not/here", size=(80, 24), ascii_only=False, counted=True, eval_path=""):
    """The screen on `path`, when all is counted (counted=False: as soon as the first rows are there)."""
    name, path, eval_path = (json.dumps(str(one)) for one in (model, path, eval_path))
    document = Document(f"[model]\nname = {name}\n[data]\npath = {path}\neval_path = {eval_path}\neval_fraction = 0.25\n")
    app = DanluApp(Session(document=document, ascii=ascii_only), "data")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen_stack[0], DataScreen) and is_there(pilot.app.screen_stack[0], counted))
        yield pilot


def is_there(screen, counted):
    return bool(screen.error) or (screen.table is not None and (not counted or screen.reading.stage is None))


async def until(pilot, condition):
    """Let the console work until `condition` holds."""
    for _ in range(3000):
        await pilot.pause(0.01)
        if condition():
            return
    raise AssertionError("it never came")


async def open_page(pilot, *keys):
    """Press keys that end on a page, and wait until it is laid out."""
    await pilot.press(*keys)
    await until(pilot, lambda: pilot.app.screen.browser.page.lines)


def screen_text(pilot):
    """What stands on the screen, a string a line."""
    return ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]


def page_text(pilot):
    return plain(pilot.app.screen.browser.page.lines)


def plain(lines):
    return "\n".join("".join(text for text, _ in line) for line in lines)


async def test_search_finds_chinese_and_esc_shows_all_again(data_file):
    """The list holds only what contains the text, in question, thinking or answer."""
    async with opened(data_file(RECORDS)) as pilot:
        await pilot.press("slash", *"国密", "enter")
        await until(pilot, lambda: len(pilot.app.screen.browser.records.numbers) == 1)

        assert list(pilot.app.screen.browser.records.numbers) == [0]
        assert "containing “国密”" in screen_text(pilot)[2]
        await pilot.press("escape")
        assert len(pilot.app.screen.browser.records.numbers) == 4


async def test_filter_shows_only_what_was_chosen(data_file):
    """Every filter that lets something through is offered with its count; those of other kinds add up, esc lets all through."""
    async with opened(data_file(RECORDS)) as pilot:
        screen = pilot.app.screen
        offered = {(wanted.kind, wanted.value): count for wanted, count in offers(screen.table, ())}
        await pilot.press("f", "enter")

        assert offered["problem", ""] == 1 and offered["problem", "empty_thinking"] == 1
        assert offered["alike", "exact"] == 1 and offered["difficulty", "hard"] == 1
        assert offered["thinking", "with"] == 2 and offered["thinking", "without"] == 1 and offered["thinking", "faulty"] == 1
        assert list(screen.browser.records.numbers) == [3] and "1 shown: any problem" in screen_text(pilot)[2]
        await pilot.press("escape")
        screen.browser._filter((Filter("thinking", "with"), Filter("difficulty", "hard")))
        assert list(screen.browser.records.numbers) == [2]


async def test_record_page_keeps_thinking_and_answer_apart_and_marks_terms(data_file):
    """Thinking and answer have their own heading, sign and style; a term in them is marked; an odd record says why."""
    async with opened(data_file(RECORDS)) as pilot:
        await open_page(pilot, "enter")
        spans = [span for line in pilot.app.screen.browser.page.lines for span in line]

        assert ("SM4", "prompt term") in spans and ("┊ ", "edge") in spans and ("┃ ", "key") in spans
        assert any(style.startswith("thinking") and "国密" in text for text, style in spans)
        await pilot.press("right", "right")
        assert "Record 3" in page_text(pilot) and "record 1; d shows them" in page_text(pilot)
        await pilot.press("d")
        assert list(pilot.app.screen.browser.records.numbers) == [0, 2]
        assert "alike (group 1)" in screen_text(pilot)[2]


@pytest.mark.parametrize(
    ("folder", "supervised"),
    [
        (qwen3_tokenizer_folder, "国密算法␊</think>␊␊分组密码。<|im_end|>"),
        (smollm2_tokenizer_folder, "<think>␊国密算法␊</think>␊␊分组密码。<|im_end|>"),
    ],
)
async def test_token_view_underlines_what_is_supervised(data_file, tmp_path, folder, supervised):
    """Template models start behind their own opening tag, models without tags learn to write it as plain text."""
    async with opened(data_file(RECORDS), folder(tmp_path / "model")) as pilot:
        await open_page(pilot, "t")
        lines = pilot.app.screen.browser.page.lines
        tokens = [span for line in lines[lines.index([]) + 1 :] for span in line if span[1] != "edge"]
        cells = [text for text, style in tokens if "supervised" in style and style.split()[0] in ("thinking", "answer")]
        drawn = {style for style in STYLES.values() if pilot.app.screen.browser.page.style_of(style).underline}

        assert drawn == {style for style in STYLES.values() if "supervised" in style}
        assert "".join(cells).replace("‥", "").endswith(supervised)


async def test_missing_model_says_how_to_get_it_and_the_rest_still_works(data_file):
    """No token is guessed at; duplicates, terms and the split are there."""
    async with opened(data_file(RECORDS)) as pilot:
        await open_page(pilot, "c")

        assert "danlu fetch not/here" in page_text(pilot)
        await open_page(pilot, "s")
        assert "1 exact duplicate of an earlier record" in page_text(pilot)
        assert "SM4" in page_text(pilot)
        await pilot.press("p")
        assert "0 of 1 group of near" in page_text(pilot)


async def test_cutoff_moves_and_its_loss_is_shown(data_file, qwen3):
    """[ shortens until examples fall over the edge; the configuration keeps its own value."""
    long = {"instruction": "很长的问题？", "output": "很长的回答。" * 50}
    async with opened(data_file([*RECORDS, long]), qwen3) as pilot:
        await pilot.press("c")
        assert "Cut-off 1,024" in page_text(pilot) and "0 of 5 examples are longer" in page_text(pilot)
        await pilot.press(*["left_square_bracket"] * 45)

        assert "0 of 5" not in page_text(pilot) and "answer: 0 tokens lost" not in page_text(pilot)
        for part in ("prompt", "thinking", "answer", "whole"):
            await pilot.press("right")
            assert f"Lengths: {part}" in page_text(pilot)
        assert pilot.app.session.document.values.data.max_seq_length == 1024


async def test_records_that_hold_a_question_of_the_evaluation_file_are_told(data_file):
    """A configured evaluation file is compared with, nothing is split off beside it, and the filter shows the records."""
    asked = {"instruction": "请详细说明分组密码的工作模式有哪些", "output": "ECB、CBC、CTR、GCM。"}
    held = {"instruction": "背景如下。请详细说明分组密码的工作模式有哪些？", "output": "有四种。"}
    async with opened(data_file([*RECORDS, held]), eval_path=data_file([asked], "eval.jsonl")) as pilot:
        screen = pilot.app.screen
        screen.browser._filter((Filter("problem", "contaminated"),))
        await pilot.press("enter")

        assert list(screen.browser.records.numbers) == [4]
        assert "holds 100 % of question 1 of eval.jsonl" in " ".join(page_text(pilot).split())
        assert screen.table.split.counts == {"train": 5, "eval": 0}


async def test_what_was_found_so_far_stays_as_it_is(data_file):
    """A page or filter may be going through it while the file is read on in another thread."""
    async with opened(data_file([*RECORDS, {"a": 1}])) as pilot:
        table = pilot.app.screen.table
        again = RecordTable(table.dataset, table.settings, table.cutoff)
        remarks, faults = again.remarks, again.faults
        again.scan(9)

        assert (remarks, faults) == ({}, {}) and list(again.remarks) == [3] and list(again.faults) == [4]


async def test_screen_and_report_agree(shared_data):
    """The screen shows the numbers that `danlu inspect` prints."""
    path = shared_data / "alpaca_zh_demo.json"
    report = inspect(read_file(path))
    async with opened(path) as pilot:
        table = pilot.app.screen.table

        summary = plain(summary_lines(table, UNICODE, False, 80))
        assert f"{report.exact_duplicates} exact duplicates of an earlier record" in summary
        assert dict(offers(table, ()))[Filter("alike", "exact")] == report.exact_duplicates
        assert f"languages  Chinese {report.language['zh']:,} · " in summary
        assert len(table.near) == report.near_duplicate_groups
        assert dict(table.texts.languages) == report.language


async def test_naughty_strings_come_out_harmless(shared_data, data_file):
    """No control, bidirectional or escape character of any record reaches list, record page or token page."""
    strings = [text for text in json.loads((shared_data / "blns.json").read_text(encoding="utf-8")) if text.strip()]
    records = [{"instruction": f"\x1b]52;c;aGk=\x07[/b] {text}", "output": text, "category": text[:9]} for text in strings]
    async with opened(data_file(records), counted=False) as pilot:
        screen = pilot.app.screen
        await open_page(pilot, "enter")
        for position in range(len(screen.browser.records.numbers)):
            screen.browser.records.position = position
            shown = "".join(text for line in screen.browser._build(78) for text, _ in line) + "".join(screen.table.row(position)[2:6])
            assert not HARMFUL.search(shown + screen.table.row(position).words)
        await pilot.press("f")
        assert not any(HARMFUL.search(line) for line in screen_text(pilot))


async def test_bad_file_is_told_and_what_is_shown_stays(data_file, tmp_path):
    """Another file that cannot be read leaves the one on screen as it is."""
    async with opened(data_file(RECORDS)) as pilot:
        await pilot.press("o", *str(tmp_path / "no.jsonl"), "enter")
        await until(pilot, lambda: pilot.app.screen.error)

        assert any("no such file" in note.message for note in pilot.app._notifications)
        assert len(pilot.app.screen.table) == 4
        assert "data.jsonl  4 records" in screen_text(pilot)[1]

        await pilot.press("o", *str(data_file(RECORDS[:2], "other.jsonl")), "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DataScreen) and len(pilot.app.screen.table) == 2)
        assert not pilot.app._notifications


async def test_bad_file_alone_is_told_in_its_place(data_file):
    """With nothing else to show, the page says what is wrong, on which line, and what to do."""
    async with opened(data_file([{"alien": 1}])) as pilot:
        page = " ".join(page_text(pilot).split())
        assert "data.jsonl:1:" in page.replace(" ", "") and "alien" in page
        assert "o opens another file" in page


async def test_open_completes_a_path_and_lists_what_matches(data_file, tmp_path):
    """Tab writes the beginning that all matches share; enter opens what is typed."""
    data_file(RECORDS[:2], "records_b.jsonl")
    async with opened(data_file(RECORDS, "first.jsonl")) as pilot:
        await pilot.press("o", *str(tmp_path / "rec"), "tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DataScreen) and len(pilot.app.screen.table) == 2)

        assert "records_b.jsonl" in screen_text(pilot)[1]


async def test_files_offered_are_told_apart_by_the_end_of_their_path(data_file, tmp_path, monkeypatch):
    """A path too long for its column loses its beginning, never its name; what lies in the current folder is offered too."""
    deep = tmp_path / ("long-folder-name-" * 4)
    deep.mkdir()
    (deep / "far.jsonl").write_bytes(data_file(RECORDS).read_bytes())
    monkeypatch.chdir(tmp_path)
    async with opened(deep / "far.jsonl") as pilot:
        await pilot.press("o")
        await until(pilot, lambda: "configured" in "".join(screen_text(pilot)))

        offered = [line for line in screen_text(pilot) if "│" in line]
        assert any("/far.jsonl configured" in " ".join(line.split()) for line in offered)
        assert any(" data.jsonl " in line for line in offered)


async def test_100000_records_scroll_without_widgets_of_their_own(data_file):
    """The last record is one key away, and the screen holds as many widgets as for four records; i stops the counting."""
    path = data_file({"instruction": f"question {number}", "output": "answer"} for number in range(100_000))
    async with opened(path, counted=False) as pilot:
        screen = pilot.app.screen
        await until(pilot, lambda: screen.table.dataset.is_complete and len(screen.browser.records.numbers) == 100_000)
        await pilot.press("G")

        assert screen.browser.records.record == 99_999 and "question 99999" in "\n".join(screen_text(pilot))
        assert len(screen.query("*")) < 20
        await pilot.press("i")
        await until(pilot, lambda: screen.reading.stage is None)
        assert "counting stopped" in screen_text(pilot)[2]


def test_what_the_summary_counts_has_a_name():
    """Every category of terms, language and script is named in the user's language."""
    named = {kind: set(names) for kind, names in tomli.loads((texts.FOLDER / "data.toml").read_text(encoding="utf-8"))["name"].items()}

    assert {entry.category for entry in entries()} <= named["categories"]
    assert named["languages"] == {*LANGUAGES, NO_LETTERS} and named["scripts"] == {"simplified", "traditional", "mixed"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("size", "ascii_only"), [((80, 24), False), ((120, 40), True)])
async def test_every_page_is_drawn_in_both_languages(data_file, qwen3, language, size, ascii_only):
    """No text is missing on any page, wide or narrow, and the signs of the list follow --ascii."""
    texts.set_language(language)
    async with opened(data_file(RECORDS), qwen3, size, ascii_only) as pilot:
        listed = "\n".join(screen_text(pilot))
        for keys in ("s", "p", "c", "t", "escape", "enter", "v", "escape", "question_mark", "escape", "f", "escape", "o", "escape"):
            await pilot.press(keys)
            assert any(line.strip() for line in screen_text(pilot))

        assert ("◆" in listed) != ascii_only

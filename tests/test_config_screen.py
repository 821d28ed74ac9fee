"""The configuration screen by keyboard: what is typed is checked, undone, saved with its comments, and started."""

import pytest
import tomli
from textual import events

from engine.config import Config, fields
from engine.config_file import PRESETS, Document, open_document
from engine.model_shape import ModelShape
from engine.model_source import config_of
from engine.plan import make_plan
from engine.run_directory import RunDirectory
from tests.machines import gpu, machine
from tests.screens import text_of, until_shown
from tui import start, texts
from tui.app import DanluApp
from tui.gate import cells
from tui.glyphs import UNICODE
from tui.screens.config_derived import derived_lines
from tui.screens.config_dialogs import likely_configs
from tui.screens.config_editing import Editing
from tui.screens.config_facts import DataFacts, Facts
from tui.screens.config_form import KEYS
from tui.session import Session
from tui.widgets.plain_input import PlainInput


@pytest.fixture(autouse=True)
def english(monkeypatch):
    """The tests read English texts, unless they ask for others."""
    monkeypatch.setattr(texts, "_language", "en")


MINE = """# my run
[model]
name = "demo"  # small

[data]
path = "mine.jsonl"

[train]
learning_rate = 2e-4  # peak
max_steps = 4
"""


@pytest.fixture
def my_file(tmp_path, monkeypatch):
    """A configuration with comments, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def app_with(document=None) -> DanluApp:
    return DanluApp(Session(document=document), "config")


def _keys(text: str) -> list[str]:
    names = {".": "full_stop", "_": "underscore", "-": "minus", " ": "space", "/": "slash"}
    return [names.get(character, character) for character in text]


async def type_value(pilot, text: str) -> None:
    """Replace the value under the cursor by what is typed."""
    await pilot.press("enter", "end", "ctrl+u", *_keys(text), "enter")


async def wait_for(pilot, condition) -> None:
    for _ in range(500):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never happened")


async def test_learning_rate_is_edited_and_saved_with_its_comments(my_file):
    """Typing 1e-4 and pressing w changes that one number in the file and nothing else."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        pilot.app.screen.stand_on("train.learning_rate")
        await type_value(pilot, "1e-4")
        await pilot.press("w")

        assert my_file.read_text() == MINE.replace("2e-4", "1e-4")
        assert pilot.app.session.unsaved == ""


async def test_refused_value_stays_in_the_field_with_the_reason_and_changes_nothing(my_file):
    """5 is no learning rate: the field stays open, the reason is on screen, esc leaves the old value."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        screen = pilot.app.screen
        pilot.app.screen.stand_on("train.learning_rate")
        await type_value(pilot, "5")
        shown = " ".join(text for line in screen._about.lines(screen.editing, screen.cursor, 0, 78) for text, _ in line)

        assert "must be a number above 0 to 1" in shown
        await pilot.press("escape")
        assert screen.editing.document.text == MINE


async def test_control_characters_of_a_value_are_codes_while_it_is_edited(my_file):
    """A system prompt may hold newlines and escape sequences: neither reaches the terminal, and typing behind them keeps them."""
    my_file.write_text(MINE.replace('path = "mine.jsonl"', 'path = "mine.jsonl"\nsystem = "a\\n\\u001b]52;c;QQ==\\u0007"'))
    async with app_with(open_document(my_file)).run_test() as pilot:
        screen = pilot.app.screen
        screen.stand_on("data.system")
        await pilot.press("enter", "end", "z")
        shown = screen.query_one(PlainInput)

        assert shown.value == "a⟨U+000A⟩⟨U+001B⟩]52;c;QQ==⟨U+0007⟩z"
        shown.post_message(events.Paste("\x1b]0;title\x07"))
        await wait_for(pilot, lambda: shown.value.endswith("␛]0;title␇"))
        await pilot.press("enter")
        assert screen.editing.document.values.data.system == "a\n\x1b]52;c;QQ==\x07z␛]0;title␇"


async def test_search_finds_keys_by_words_of_their_help(my_file):
    """`/` with words of the help goes to the first key that has them all, esc back to where one was."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        screen = pilot.app.screen
        await pilot.press("slash", *_keys("likeliest"), "enter")

        assert screen.cursor == "sample.temperature"
        await pilot.press("n")
        assert screen.cursor == "sample.top_k"
        await pilot.press("slash", *_keys("seed"), "escape")
        assert screen.cursor == "sample.top_k"


async def test_digits_and_letters_are_typed_not_obeyed(my_file):
    """While a value is typed, q, x and 1 are letters of it."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        pilot.app.screen.stand_on("run.name")
        await type_value(pilot, "qx1")

        assert pilot.app.session.document.values.run.name == "qx1"


async def test_choices_turn_with_space_and_arrows(my_file):
    """Space takes the next choice, left the one before; a flag turns over with enter."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        screen = pilot.app.screen
        pilot.app.screen.stand_on("train.scheduler")
        await pilot.press("space", "right", "left")
        pilot.app.screen.stand_on("data.packing")
        await pilot.press("enter")

        assert screen.editing.document.values.train.scheduler == "linear"
        assert screen.editing.document.values.data.packing is False


async def test_undo_and_redo_walk_through_every_change_even_of_the_file(my_file):
    """u takes back an edit and the opening of another preset; U does it again."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        screen = pilot.app.screen
        pilot.app.screen.stand_on("train.scheduler")
        await pilot.press("space")
        edited = screen.editing.document.text
        await pilot.press("o", *_keys("cpu-smoke"), "enter")
        await wait_for(pilot, lambda: screen.editing.name == "cpu-smoke.toml")
        await pilot.press("u")

        assert (screen.editing.name, screen.editing.document.text) == ("mine.toml", edited)
        await pilot.press("u")
        assert screen.editing.document.text == MINE
        await pilot.press("U")
        assert screen.editing.document.text == edited


async def test_shipped_preset_asks_for_a_name_and_stays_as_it_is(my_file):
    """Without a document the reference preset is edited; saving it makes a file of one's own here."""
    before = (PRESETS / "qwen3-4b-24g.toml").read_text()
    async with app_with().run_test() as pilot:
        pilot.app.screen.stand_on("train.scheduler")
        await pilot.press("space", "w")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 2)
        await pilot.press("enter")
        await wait_for(pilot, (my_file.parent / "my-run.toml").exists)

        assert (PRESETS / "qwen3-4b-24g.toml").read_text() == before
        assert (my_file.parent / "my-run.toml").read_text() == before.replace('scheduler = "cosine"', 'scheduler = "linear"')


async def test_presets_are_offered_by_the_names_one_types(my_file):
    """With what each is for beside it at 80 columns; files of one's own by their paths."""
    async with app_with(open_document(my_file)).run_test(size=(80, 24)) as pilot:
        await pilot.press("o")
        await until_shown(pilot, "cpu-smoke", "A self-test of about a minute", my_file.name)

        assert "cpu-smoke.toml" not in text_of(pilot.app)


async def test_leaving_with_unsaved_changes_asks_first(my_file):
    """q asks; n stays with the change, y leaves."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        app = pilot.app
        pilot.app.screen.stand_on("train.scheduler")
        await pilot.press("space", "q")
        await wait_for(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("n")
        await wait_for(pilot, lambda: len(app.screen_stack) == 1)

        assert app.is_running
        assert app.screen.editing.document.values.train.scheduler == "linear"
        await pilot.press("q")
        await wait_for(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("y")
        await wait_for(pilot, lambda: app._exit)


async def test_start_hands_over_the_document_as_edited(my_file, monkeypatch):
    """x starts the values on screen, saved or not."""
    started = []

    def start_run(document: Document, **options) -> RunDirectory:
        started.append(document.text)
        raise start.RunError("an engine is enough of a story for other tests")

    monkeypatch.setattr(start, "start_run", start_run)
    monkeypatch.setattr(start, "check", lambda config: None)
    async with app_with(open_document(my_file)).run_test() as pilot:
        pilot.app.screen.stand_on("train.max_steps")
        await type_value(pilot, "7")
        await pilot.press("x")
        await wait_for(pilot, lambda: started or len(pilot.app.screen_stack) == 2)
        if not started:  # the forecast of a crowded machine asks
            await pilot.press("y")
            await wait_for(pilot, lambda: len(started) == 1)

        assert tomli.loads(started[0])["train"]["max_steps"] == 7


async def test_start_without_data_stands_on_the_missing_key(my_file):
    """A preset that leaves data.path open starts nothing and shows which key to fill."""
    async with app_with().run_test() as pilot:
        screen = pilot.app.screen
        await pilot.press("x")
        await wait_for(pilot, lambda: screen.cursor == "data.path")

        assert screen._faulty == {"data.path"}
        assert not (my_file.parent / "runs").exists()

        await pilot.press("o", *_keys("cpu-smoke"), "enter")
        await wait_for(pilot, lambda: screen.editing.name == "cpu-smoke.toml")
        assert not screen._faulty and not pilot.app._notifications


async def test_empty_data_path_offers_the_file_of_the_data_screen(my_file):
    """The file looked at on the data screen stands in the field, ready to be taken."""
    app = DanluApp(Session(data_path=my_file.parent / "looked_at.jsonl"), "config")
    async with app.run_test() as pilot:
        app.screen.stand_on("data.path")
        await pilot.press("enter", "enter")

        assert app.session.document.values.data.path == str(my_file.parent / "looked_at.jsonl")


async def test_documents_of_other_screens_are_taken_and_can_be_undone(my_file):
    """What another screen hands over is edited; undo comes back to the unsaved one before."""
    async with app_with(open_document(my_file)).run_test() as pilot:
        app, screen = pilot.app, pilot.app.screen
        pilot.app.screen.stand_on("train.scheduler")
        await pilot.press("space")
        await pilot.press("5")
        app.edit_config(open_document(PRESETS / "demo.toml"))
        await wait_for(pilot, lambda: app.screen is screen and screen.editing.name == "demo.toml")
        await pilot.press("u")

        assert screen.editing.document.values.train.scheduler == "linear"


@pytest.mark.parametrize(("size", "language"), [((80, 24), "zh"), ((60, 16), "en")])
async def test_every_key_can_be_stood_on_and_is_seen(my_file, monkeypatch, size, language):
    """Walking down, the key under the cursor is always on screen."""
    monkeypatch.setattr(texts, "_language", language)
    async with app_with(open_document(my_file)).run_test(size=size) as pilot:
        screen = pilot.app.screen
        form = screen.query_one("#form-side")
        for key in KEYS[1:]:
            screen.action_move(1)
            drawn = ["".join(segment.text for segment in form.render_line(y)) for y in range(form.content_size.height)]

            assert screen.cursor == key
            assert any(screen.session.glyphs.current in line for line in drawn), key


def test_every_key_has_a_chinese_help():
    """The catalogue has a Chinese sentence for each key of the schema, and for no other."""
    help_ = tomli.loads((texts.FOLDER / "config.toml").read_text(encoding="utf-8"))["help"]

    assert {f"{section}.{name}" for section, names in help_.items() for name in names} == {field.key for field in fields()}
    assert all(entry["zh"] for names in help_.values() for entry in names.values())


def test_reset_goes_to_the_preset_and_then_to_the_default():
    """The first d is the preset's value as it wrote it, the second the schema's default."""
    editing = Editing(Document(MINE.replace("2e-4", "3e-4")))
    editing.set_text("train.learning_rate", "1e-3")

    assert editing.reset("train.learning_rate") == "preset"
    assert "learning_rate = 3e-4  # peak" in editing.document.text
    assert editing.reset("train.learning_rate") == "default"
    assert editing.document.values.train.learning_rate == 2e-4
    assert editing.reset("train.learning_rate") == "preset"
    assert editing.reset("train.seed") == ""


def test_undo_after_a_save_is_unsaved_again(tmp_path):
    """What is on disk does not change by undoing."""
    editing = Editing(Document(MINE, tmp_path / "mine.toml"))
    editing.set_text("train.max_steps", "5")
    editing.save()
    editing.undo()

    assert editing.is_unsaved
    assert (tmp_path / "mine.toml").read_text() == MINE.replace("max_steps = 4", "max_steps = 5")


@pytest.mark.parametrize("width", [28, 44])
def test_the_panel_says_how_sure_the_forecast_is_and_how_it_would_train(width):
    """Band and probability below the bar, strategy and precision in the recipe; nothing wider than the panel at 80 columns."""
    config = Config()
    shape = ModelShape.from_config(config_of(config.model))
    plan = make_plan(config, shape, machine(gpu(free=14.3), gpu(index=1)))
    lines = derived_lines(config, Facts(DataFacts(""), plan), UNICODE, width)
    text = "\n".join("".join(part for part, _ in line) for line in lines)

    assert f"{plan.peak_low_gib:.1f}-{plan.peak_high_gib:.1f} GiB · 99.9 % sure" in text and "DDP, 2 processes" in text
    assert max(cells(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_preset_says_what_it_is_for(language):
    """In English by its first line, in Chinese by the catalogue."""
    texts.set_language(language)
    offered = {path.stem: note for path, note in likely_configs() if path.parent == PRESETS}

    assert offered.keys() == {path.stem for path in PRESETS.glob("*.toml")} and all(offered.values())
    assert ("显存" in offered["qwen3-4b-24g"]) == (language == "zh")

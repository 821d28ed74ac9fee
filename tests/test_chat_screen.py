"""The chat screen over real runs of a tiny model and the real process that answers: asking, giving up, changing the run, letting go."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from textual.events import Paste

from engine import events
from engine.run_directory import RunDirectory
from tests.console_runs import beginning, engine_alive, step, stopped, write
from tests.console_runs import make_run as written_run
from tests.engine_runs import make_run, train_here, write_records
from tests.screens import PATIENCE, text_of, until, until_shown
from tests.tiny_models import tiny_model
from tui import texts
from tui.app import DanluApp
from tui.exchanges import Exchange
from tui.gate import cells
from tui.model_state import Unanswered
from tui.session import Session

SMALL, LARGE = (80, 24), (120, 40)
LOADING = 20 * PATIENCE
"""Looks until a process has imported torch and loaded a model, also where the machine is busy."""


@pytest.fixture(autouse=True)
def english():
    """The tests read English texts."""
    texts.set_language("en")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`short` answers with four tokens; `long`, the older, with thousands."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_records(tmp_path_factory.mktemp("data") / "records.jsonl")
    short = make_run(folder, tiny_model("qwen3", tmp_path_factory.mktemp("model")), data, "short")
    train_here(short)
    shutil.copytree(short.path, folder / "long")
    change(RunDirectory(folder / "long"), "max_new_tokens = 4", "max_new_tokens = 4096")
    os.utime(short.config)
    return folder


def change(run: RunDirectory, before: str, after: str) -> None:
    config = run.config.read_text(encoding="utf-8")
    assert before in config
    run.config.write_text(config.replace(before, after), encoding="utf-8")


def console(folder: Path, run: str = "", **options) -> DanluApp:
    return DanluApp(Session(output_dir=folder, run=RunDirectory(folder / run) if run else None, **options), "chat")


def processes(folder: Path) -> list[int]:
    """Process ids of those that hold a model of a run below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdecimal() else []
        except OSError:
            continue
        if b"engine.answerer" in words and any(os.fsencode(folder) in word for word in words):
            found.append(int(entry.name))
    return found


async def ask(pilot, question: str) -> None:
    await pilot.press("i", *question, "enter")


async def test_both_models_answer_the_same_question(runs):
    """The trained one, then its base, side by side; u ends the process and the answers stay."""
    async with console(runs).run_test(size=LARGE) as pilot:
        await until_shown(pilot, "○ short", "step 8 · not loaded", "Ask run short something")
        assert processes(runs) == []
        await ask(pilot, "1+1?")
        await until_shown(pilot, "▸ 1+1?", "trained · short", "answers when it is loaded")
        await until(pilot, lambda: text_of(pilot.app).count(" 4 tokens,") == 2, LOADING)

        assert "● short" in text_of(pilot.app) and "trained · short · step 8" in text_of(pilot.app)
        exchange = pilot.app.screen._exchanges.shown
        assert [exchange.answers[base].step for base in (False, True)] == [8, 0]
        assert exchange.answers[False].prompt == exchange.answers[True].prompt == "1+1?"

        await pilot.press("escape", "w")
        await ask(pilot, "2+2?")
        await until_shown(pilot, "question 2 of 2", " 4 tokens,", "was not asked", looks=LOADING)
        await pilot.press("escape", "h")
        await until_shown(pilot, "▸ 1+1?", "question 1 of 2")

        assert len(processes(runs)) == 1
        await pilot.press("u")
        await until(pilot, lambda: not processes(runs))
        await until_shown(pilot, "step 8 · not loaded", "▸ 1+1?")


async def test_an_answer_is_given_up_and_another_run_asked(runs):
    """x ends the answer being written with what there is, and the base's turn comes; x ends that too. o lets go of one model, and the
    next question loads the other."""
    async with console(runs, "long").run_test(size=LARGE) as pilot:
        await until_shown(pilot, "○ long")
        await ask(pilot, "go on")
        await until_shown(pilot, "● being written", "answers next", looks=LOADING)
        await ask_more_than_one(pilot)
        await pilot.press("escape")
        await until_shown(pilot, "x on to the base")
        await pilot.press("x")
        await until_shown(pilot, "■ given up", "before training · ● being written", "x give up")
        await pilot.press("x")
        await until(pilot, lambda: text_of(pilot.app).count("■ given up") == 2)
        (first,) = processes(runs)

        await pilot.press("o")
        await until_shown(pilot, "Chat with which run?", "step 8 · loss")
        await pilot.press("k", "enter")
        await until_shown(pilot, "○ short", "not loaded", "trained · long · step 8")
        await ask(pilot, "1+1?")
        await until(pilot, lambda: text_of(pilot.app).count(" 4 tokens,") == 2, LOADING)
        assert len(processes(runs)) == 1 and first not in processes(runs)
    assert processes(runs) == []


async def ask_more_than_one(pilot):
    """While one is answered another stays in the field."""
    await pilot.press(*"more", "enter")
    await until(pilot, lambda: any("One question after another" in note.message for note in pilot.app._notifications))
    assert pilot.app.screen.field.value == "more"


async def test_leaving_ends_the_process_while_it_loads(runs):
    """Also one that is in the middle of importing."""
    async with console(runs).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "○ short")
        await pilot.press("s")
        await until(pilot, lambda: processes(runs))
        await until_shown(pilot, "loading libraries", "x give up")
    assert processes(runs) == []


async def test_loading_is_given_up_with_esc(runs):
    """The question that waited is in the field's memory."""
    async with console(runs).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "○ short")
        await ask(pilot, "1+1?")
        await until(pilot, lambda: processes(runs))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not processes(runs))
        await until_shown(pilot, "not loaded", "Ask run short something")
        await pilot.press("i", *"draft", "up")
        assert pilot.app.screen.field.value == "1+1?"
        await pilot.press("down")
        assert pilot.app.screen.field.value == "draft"


async def test_beside_a_training_it_asks_first(runs, tmp_path):
    """The model takes its memory a second time: only after y."""
    shutil.copytree(runs / "short", tmp_path / "live")
    live = RunDirectory(tmp_path / "live")
    write(live, [events.EngineStarted(start_id="b", pid=1, versions={}, resumed_step=8), step(9)])
    with engine_alive(live):
        async with console(tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "▲ This run is training")
            await ask(pilot, "1+1?")
            await until_shown(pilot, "Load it beside the training?")
            await pilot.press("n")
            assert pilot.app.screen.field.value == "1+1?" and not processes(tmp_path)

            await pilot.press("enter", "y")
            await until_shown(pilot, "loading", "▸ 1+1?")


async def test_a_process_that_dies_is_told_and_can_be_started_again(runs):
    """Killed from outside, as the kernel does when memory runs out."""
    async with console(runs).run_test(size=LARGE) as pilot:
        await until_shown(pilot, "○ short")
        await pilot.press("s")
        await until(pilot, lambda: processes(runs))
        os.kill(processes(runs)[0], signal.SIGKILL)
        await until_shown(pilot, "✗ short", "could not be asked", "killed (signal 9)", "s load now", looks=LOADING)
        await pilot.press("s")
        await until_shown(pilot, "○ short", "loading libraries")


async def test_a_process_that_dies_while_it_writes_leaves_what_it_wrote(runs):
    """The answer is no longer said to be written, and the base is not said to be asked."""
    async with console(runs, "long").run_test(size=LARGE) as pilot:
        await until_shown(pilot, "○ long")
        await ask(pilot, "go on")
        await until_shown(pilot, "● being written", looks=LOADING)
        os.kill(processes(runs)[0], signal.SIGKILL)
        await until_shown(pilot, "✗ long", "✗ broken off", "was not asked", looks=LOADING)
        assert "being written" not in text_of(pilot.app)


async def test_what_cannot_be_loaded_is_one_sentence(runs, tmp_path):
    """A model that is gone, with its cure; the console goes on."""
    shutil.copytree(runs / "short", tmp_path / "moved")
    moved = RunDirectory(tmp_path / "moved")
    change(moved, 'name = "', 'name = "/nowhere')
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "○ moved")
        await pilot.press("s")
        await until_shown(pilot, "✗ moved", "/nowhere", looks=LOADING)
        await until(pilot, lambda: not processes(tmp_path))


async def test_a_run_that_has_saved_nothing_says_so(tmp_path):
    """From the list of runs too, once and with the cure; a question stays where it is."""
    written_run(tmp_path, "fresh", [*beginning(), step(1), stopped("stopped", 1)])
    app = DanluApp(Session(output_dir=tmp_path), "runs")
    async with app.run_test(size=SMALL) as pilot:
        await until_shown(pilot, "fresh", "a ask")
        await pilot.press("a")
        await until_shown(pilot, "▸6 Chat", "○ fresh  nothing saved yet", "While it trains, k")
        assert "⏎ ask" not in text_of(pilot.app)
        await ask(pilot, "123?")
        await until(pilot, lambda: any("nothing to ask yet" in note.message for note in app._notifications))
        assert app.screen.field.value == "123?" and "checkpoint yet" not in text_of(app)

        await pilot.press("escape", "5")
        await until_shown(pilot, "▸5 Runs")


async def test_an_empty_folder_says_what_to_do(tmp_path):
    """No run at all: no keys that would do nothing."""
    async with console(tmp_path / "none").run_test(size=SMALL) as pilot:
        await until_shown(pilot, "saved a model yet", "3 configures", "q quit")
        assert "⏎ ask" not in text_of(pilot.app)
        await pilot.press("s", "x", "b", "w", "u", "o", "h", "j")


async def test_the_result_of_a_training_leads_here(runs):
    """a on the live screen of an ended run turns to its model."""
    app = DanluApp(Session(output_dir=runs, run=RunDirectory(runs / "long")), "train")
    async with app.run_test(size=LARGE) as pilot:
        await until_shown(pilot, "a asks it beside its base", "a ask")
        await pilot.press("a")
        await until_shown(pilot, "▸6 Chat", "○ long")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_everything_fits(runs, size, language):
    """Both answers where there is room, else one and b; long texts wrap, a long question is cut off, outside text is harmless."""
    texts.set_language(language)
    said = {
        False: events.SampleFinished(
            id="a", step=8, prompt="", thinking="先想一想" * 40, answer="答\x1b[31m案", opened=True, closed=True, well_formed=True,
            ended=True, tokens=9, tokens_per_s=20.0,
        ),
        True: Unanswered("out of memory; ask for fewer tokens"),
    }  # fmt: skip
    async with console(runs, ascii=language == "zh").run_test(size=size) as pilot:
        await until_shown(pilot, "short")
        screen = pilot.app.screen
        screen._exchanges.add(Exchange("为什么？" * 100 + "\n完。", "short", 8, said))
        screen._changed()
        await until_shown(pilot, "答␛[31m案")
        shown = text_of(pilot.app)

        assert all(cells(line) <= size[0] for line in shown.split("\n"))
        assert ("out of memory" in shown) == (size == LARGE)
        await pilot.press("b")
        await until_shown(pilot, "out of memory")
        assert ("答␛[31m案" in text_of(pilot.app)) == (size == LARGE)
        await pilot.press("v", "pagedown")
        await until(pilot, lambda: any(line.strip() == "完。" for line in text_of(pilot.app).split("\n")))
        await pilot.press("v")
        await until_shown(pilot, "out of memory")


async def test_a_question_of_several_lines_is_pasted_as_it_is(runs):
    """Where the field of textual would keep the first line."""
    async with console(runs).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "○ short")
        await pilot.press("i", *"so: ")
        pilot.app.screen.field.post_message(Paste("a = 1\r\nb\t= 2\n"))
        await until(pilot, lambda: "b" in pilot.app.screen.field.value)

        assert pilot.app.screen.field.question == "so: a = 1\nb\t= 2"

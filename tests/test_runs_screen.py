"""The list of runs: what it says of each, and what its keys do."""

import msgspec
import pytest

from engine import events
from tests.console_runs import beginning, engine_alive, evaluation, make_run, step, stopped, write
from tests.screens import text_of, until, until_shown
from tui import texts
from tui.app import DanluApp
from tui.run_deletion import delete_run
from tui.run_index import RunIndex, folder_size
from tui.session import Session
from tui.widgets.comparison import Comparison
from tui.widgets.run_table import RunTable

SMALL = (80, 24)
STOPPED = [*beginning(), *[step(n) for n in range(1, 6)], evaluation(5, 2.5), stopped("stopped", 5)]
FINISHED = [*beginning(), *[step(n) for n in range(1, 21)], evaluation(20, 2.0), stopped("finished", 20)]


@pytest.fixture(autouse=True)
def english():
    """The tests read English texts."""
    texts.set_language("en")


def console(tmp_path):
    return DanluApp(Session(output_dir=tmp_path), "runs")


async def choose(pilot, name):
    """Put the cursor on a run."""
    await until_shown(pilot, name)
    table = pilot.app.screen.query_one(RunTable)
    await pilot.press("g")
    while table.current.run.name != name:
        await pilot.press("j")


async def test_every_state_has_its_sign_and_its_word(tmp_path):
    """Live, finished, stopped and died runs are told apart without colour."""
    live = make_run(tmp_path, "live", [*beginning(), step(1)])
    make_run(tmp_path, "whole", FINISHED)
    make_run(tmp_path, "half", STOPPED)
    make_run(tmp_path, "gone", [*beginning(), step(3)])
    with engine_alive(live):
        async with console(tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "● training", "✓ finished", "■ stopped", "✗ engine died")
            await until_shown(pilot, "20/20", "3.000 → 2.000", "just now", "4 runs")


async def test_a_wide_screen_shows_how_many_tokens_are_right(tmp_path):
    """Of the first evaluation and of the newest; one number where they are the same."""
    better = msgspec.structs.replace(evaluation(20, 2.0), accuracy=0.61)
    make_run(tmp_path, "whole", [*beginning(), *[step(n) for n in range(1, 21)], better, stopped("finished", 20)])
    make_run(tmp_path, "half", STOPPED)
    async with console(tmp_path).run_test(size=(140, 24)) as pilot:
        await until_shown(pilot, "tokens right", "50.0 % → 61.0 %", "  50.0 %  ")


async def test_an_empty_folder_says_what_to_do(tmp_path):
    """No empty list: two ways to a first run, and no keys that would do nothing; they come with the first run."""
    async with console(tmp_path / "none").run_test(size=SMALL) as pilot:
        await until_shown(pilot, "There is no run in", "3 configures", "danlu demo")
        assert "d delete" not in text_of(pilot.app) and "q quit" in text_of(pilot.app)

        make_run(tmp_path / "none", "first", STOPPED)
        await until_shown(pilot, "first", "d delete")


async def test_the_palette_offers_what_can_be_done(tmp_path):
    """Screens and actions by name, and no moving around."""
    make_run(tmp_path, "half", STOPPED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "half")
        offered = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]

        assert {"3 Config", "delete", "compare", "quit"} <= set(offered) and "a page down" not in offered


@pytest.mark.parametrize("screen", "123456")
async def test_no_key_is_cut_in_the_list_of_keys(tmp_path, screen):
    """With --ascii, whose names of keys are the longest."""
    async with DanluApp(Session(output_dir=tmp_path, ascii=True), "runs").run_test(size=SMALL) as pilot:
        await pilot.press(screen, "question_mark")
        await until(pilot, lambda: pilot.app.screen.query("HelpScreen Static"))

        assert "…" not in str(pilot.app.screen.query_one("HelpScreen Static").render())


@pytest.mark.parametrize("screen", "123456")
async def test_the_palette_offers_everything_once(tmp_path, screen):
    """An action with several keys is one line, which names them all."""
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await pilot.press(screen)
        await pilot.pause()
        offered = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]

        assert len(offered) == len(set(offered))


async def test_help_names_every_key_once(tmp_path):
    """Signs, not their names; a description too long for a line goes on under itself."""
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        for screen, sign in (("3", "J }"), ("1", "PgDn ␣"), ("5", "PgDn")):
            await pilot.press(screen, "question_mark")
            await until(pilot, lambda: pilot.app.screen.query("HelpScreen Static"))
            lines = str(pilot.app.screen.query_one("HelpScreen Static").render()).split("\n")

            assert any(line.split("  ")[1] == sign for line in lines if line.startswith("  "))
            assert not any("_" in line[:14] for line in lines)
            keys = [line[:14].split() for line in lines if line.startswith("  ")]
            assert all(len(one) == len(set(one)) for one in keys)
            await pilot.press("escape")


async def test_enter_attaches(tmp_path):
    """The chosen run opens on the training screen."""
    make_run(tmp_path, "half", STOPPED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await choose(pilot, "half")
        await pilot.press("enter")
        await until_shown(pilot, "▸4 Train", "■ stopped", "Stopped on command after step 5 of 20")


async def test_it_refreshes_by_itself(tmp_path):
    """A run that appears, or goes on, is seen without a key."""
    run = make_run(tmp_path, "half", STOPPED[:-1])
    with engine_alive(run):
        async with console(tmp_path).run_test(size=SMALL) as pilot:
            await until_shown(pilot, "5/20")
            write(run, [step(6)])
            make_run(tmp_path, "another", FINISHED)
            await until_shown(pilot, "6/20", "another")


async def test_delete_needs_a_yes_and_takes_the_whole_folder(tmp_path):
    """d asks; n keeps the run; y deletes it and nothing beside it."""
    run, other = make_run(tmp_path, "half", STOPPED), make_run(tmp_path, "whole", FINISHED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await choose(pilot, "half")
        await pilot.press("d")
        await until_shown(pilot, "Delete half?")
        await pilot.press("n")
        assert run.path.exists()

        await pilot.press("d", "y")
        await until(pilot, lambda: not run.path.exists())
        await until_shown(pilot, "1 run")
        assert other.events.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["whole"]


async def test_a_live_run_is_never_deleted(tmp_path):
    """d only says that it must be stopped first."""
    run = make_run(tmp_path, "live", [*beginning(), step(1)])
    with engine_alive(run):
        async with console(tmp_path).run_test(size=SMALL) as pilot:
            await choose(pilot, "live")
            await pilot.press("d", "y")
            await until(pilot, lambda: any("stop it first" in note.message for note in pilot.app._notifications))

        with pytest.raises(Exception, match="an engine is running here"):
            delete_run(run)
        assert run.events.exists()


def test_deleting_a_link_leaves_what_it_leads_to(tmp_path):
    """A run that is a link to another folder: the link goes, the folder stays."""
    elsewhere = make_run(tmp_path / "elsewhere", "a", STOPPED)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(elsewhere.path)
    delete_run(type(elsewhere)(tmp_path / "runs" / "a"))

    assert list((tmp_path / "runs").iterdir()) == []
    assert elsewhere.events.exists()


async def test_marked_runs_are_compared_in_one_chart(tmp_path):
    """space marks, m draws a curve for each with its mark and its name."""
    make_run(tmp_path, "half", STOPPED)
    make_run(tmp_path, "whole", FINISHED)
    async with console(tmp_path).run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "half", "whole")
        await pilot.press("space", "space", "m")
        await until_shown(pilot, "Loss, smoothed", "● ", "◆ ", "2.200", "2.050")

        await pilot.press("escape")
        assert not pilot.app.screen.query_one(Comparison).display


async def test_a_finished_run_is_not_resumed(tmp_path):
    """r says why instead of starting an engine that has nothing to do."""
    make_run(tmp_path, "whole", FINISHED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await choose(pilot, "whole")
        await pilot.press("r")
        await until(pilot, lambda: any("is finished" in note.message for note in pilot.app._notifications))


async def test_open_takes_the_configuration_without_the_runs_name(tmp_path, monkeypatch):
    """A run begun from it must be a new one, and saving it must not overwrite the old run's record."""
    make_run(tmp_path, "half", STOPPED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        opened = []
        monkeypatch.setattr(pilot.app, "edit_config", opened.append)
        await choose(pilot, "half")
        await pilot.press("o")

        (document,) = opened
        assert document.path is None
        assert document.values.run.name == ""
        assert "[resolved]" not in document.text


async def test_file_names_pass_the_gate(tmp_path):
    """A folder's name can hold anything."""
    make_run(tmp_path, "a\x1b[31m[b]", STOPPED)
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await until_shown(pilot, "a␛[31m[b]")

        assert "\x1b" not in text_of(pilot.app)


def test_what_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    """Looking again at a folder at rest costs a look at each file's size and no reading."""
    make_run(tmp_path, "half", STOPPED)
    index = RunIndex()
    before = index.rows(tmp_path)
    monkeypatch.setattr("tui.run_index.summarise", lambda run: pytest.fail("read again"))

    assert index.rows(tmp_path) == before


def test_a_curve_goes_on_where_it_was_read(tmp_path):
    """Steps written later are added; a restart drops those that are done again."""
    run, index = make_run(tmp_path, "half", STOPPED), RunIndex()
    assert list(index.curve(run).steps) == [1, 2, 3, 4, 5]

    write(run, [events.EngineStarted(start_id="b", pid=2, versions={}, resumed_step=3), step(4), step(5), step(6)])
    assert list(index.curve(run).steps) == [1, 2, 3, 4, 5, 6]


def test_the_size_of_a_folder_counts_everything_below_it_once(tmp_path):
    """Links are not followed."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 1000)
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)

    assert 1000 <= folder_size(tmp_path) < 2000


@pytest.mark.parametrize("words", [("a part of its name", "no such command"), ("名称的一部分", "没有这样的命令")])
async def test_the_palette_speaks_the_users_language(tmp_path, words):
    """Its question and its answer to a name that nothing has."""
    texts.set_language("en" if words[0].isascii() else "zh")
    async with console(tmp_path).run_test(size=SMALL) as pilot:
        await pilot.press("ctrl+p")
        await until_shown(pilot, words[0])
        await pilot.press(*"xqzxqz")
        await until_shown(pilot, words[1])

"""Keys typed faster than screens and dialogs open."""

import pytest
from textual import events
from textual.pilot import Pilot

from tests.engine_runs import write_records
from tests.screens import until
from tui.app import DanluApp
from tui.session import Session


def type_at_once(pilot: Pilot, keys: str) -> None:
    """All in the queue before the first is taken, as after a moment in which the machine was busy."""
    names = {".": "full_stop", "\r": "enter", "/": "slash", "\x1b": "escape"}
    for character in keys:
        pilot.app.post_message(events.Key(names.get(character, character), character))


@pytest.fixture
def console(tmp_path, monkeypatch):
    """A console in a folder with a data file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_records(tmp_path / "mine.jsonl", 3)
    return DanluApp(Session(output_dir=tmp_path / "runs"), "runs")


async def test_a_path_typed_ahead_reaches_the_dialog(console):
    """The screen, the dialog on it and the whole path in one go: the file is opened."""
    async with console.run_test(size=(80, 24)) as pilot:
        type_at_once(pilot, "2omine.jsonl\r")

        await until(pilot, lambda: console.session.data_path and console.session.data_path.name == "mine.jsonl")


async def test_what_closes_a_dialog_is_followed_by_the_screen_below(console):
    """Keys behind the one that gives a dialog up are the screen's again, and the last one leaves."""
    async with console.run_test(size=(80, 24)) as pilot:
        type_at_once(pilot, "2o\x1b/\x1b5?\x1bq")

        await until(pilot, lambda: not console.is_running or console._exit)


async def test_keys_go_on_while_one_takes_long(console, monkeypatch):
    """What waits for a key that has no end is let through in the end."""
    monkeypatch.setattr("tui.typed_ahead.PATIENCE_S", 0.0)
    monkeypatch.setattr("tui.typed_ahead.TypedAhead._follow", lambda *_: None)
    async with console.run_test(size=(80, 24)) as pilot:
        for key in "3", "5", "2":
            type_at_once(pilot, key)
            await until(pilot, lambda mode={"3": "config", "5": "runs", "2": "data"}[key]: console.current_mode == mode)

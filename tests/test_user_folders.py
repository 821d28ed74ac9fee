"""Where a user's files lie."""

from pathlib import Path

from data import user_folders


def test_the_specifications_variables_decide_else_the_home(monkeypatch, tmp_path):
    """XDG base directories, in a folder of Danlu's own each."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/x")

    assert user_folders.state_folder() == tmp_path / "danlu"
    assert user_folders.cache_folder() == Path("/home/x/.cache/danlu")
    assert user_folders.config_folder() == Path("/home/x/.config/danlu")


def test_a_user_whom_no_file_knows_has_a_home_all_the_same(monkeypatch):
    """A container may run under any number: nothing can be written there, which callers put up with, and nothing crashes."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda number: (_ for _ in ()).throw(KeyError(number)))

    assert user_folders.home() == Path("/")

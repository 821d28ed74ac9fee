"""Where a user's files lie apart from any project: by the XDG base directory specification, in a folder of Danlu's own each.

Nothing is made here; whoever writes makes the folder, and what is there may be missing or read-only.
"""

import os
from pathlib import Path


def cache_folder() -> Path:
    """What can be made again: $XDG_CACHE_HOME/danlu, by default ~/.cache/danlu."""
    return _folder("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path:
    """What Danlu remembers: $XDG_STATE_HOME/danlu, by default ~/.local/state/danlu."""
    return _folder("XDG_STATE_HOME", ".local/state")


def config_folder() -> Path:
    """What the user has written: $XDG_CONFIG_HOME/danlu, by default ~/.config/danlu."""
    return _folder("XDG_CONFIG_HOME", ".config")


def home() -> Path:
    """The home folder; / for a user whom no system file knows, as containers set it."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or home() / default) / "danlu"

"""Paths as a person reads them."""

import os
from pathlib import Path

from data.user_folders import home as home_folder
from engine.config_file import PRESETS
from tui import gate


def preset_or_path(path: Path) -> str:
    """A configuration that ships with Danlu by its name, as one types it; another as `readable`."""
    return gate.safe(path.stem) if path.parent == PRESETS else readable(path)


def readable(path: Path) -> str:
    """Relative to the current folder where `path` lies in it, with ~ for the home folder elsewhere; through the gate."""
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return gate.safe(str(path.relative_to(Path.cwd())))
    text, home = str(path), str(home_folder())
    return gate.safe("~" + text[len(home) :] if text.startswith(home + os.sep) else text)

"""Where Danlu remembers what it learned of this machine for this user. Nothing there is needed: all of it can be learned again."""

import os
from pathlib import Path


def state_folder() -> Path:
    """$XDG_STATE_HOME/danlu, by default ~/.local/state/danlu; made by whoever writes."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "danlu"

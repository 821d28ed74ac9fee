"""Data files worth offering to open: the configured one, the bundled set, those opened last."""

import os
from pathlib import Path

from engine.config_file import BUNDLED_DATA
from tui.texts import tr

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
KEPT = 8


def likely_files(configured: Path | None) -> list[tuple[Path, str]]:
    """Each with what it is; the likeliest first."""
    found: dict[Path, str] = {}
    if configured is not None:
        found[configured] = tr("data.open_configured")
    if BUNDLED_DATA.is_file():
        found.setdefault(BUNDLED_DATA, tr("data.open_bundled"))
    for path in recent_files():
        found.setdefault(path, tr("data.open_recent"))
    return list(found.items())


def recent_files() -> list[Path]:
    """The data files opened last, latest first, those that are gone left out."""
    try:
        lines = _recent_list().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [path for line in lines if line and (path := Path(line)).is_file()]


def remember(path: Path) -> None:
    """Put `path` at the head of the files opened last. A list that cannot be written is no reason to trouble anyone."""
    if path.resolve() == BUNDLED_DATA:
        return
    lines = dict.fromkeys(map(str, [path.resolve(), *recent_files()]))
    try:
        _recent_list().parent.mkdir(parents=True, exist_ok=True)
        _recent_list().write_text("\n".join(list(lines)[:KEPT]) + "\n", encoding="utf-8")
    except (OSError, UnicodeEncodeError):
        return


def _recent_list() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "danlu" / "recent_data"

"""Which data file the screen shows, which ones it offers to open, and how the configuration gets to name it."""

from pathlib import Path

from data.user_folders import state_folder
from engine import config_file
from engine.config import Config
from engine.config_file import BUNDLED_DATA, Document
from tui.session import Session
from tui.texts import tr

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
KEPT = 8


def wanted(session: Session) -> tuple[Path, Config]:
    """The file to show (the session's, else the configuration's, else the bundled set) and the configuration to look at it with."""
    return session.data_path or configured(session) or BUNDLED_DATA, config_of(session)


def config_of(session: Session) -> Config:
    return session.document.values if session.document else Config()


def configured(session: Session) -> Path | None:
    """The training data file of the configuration; relative to its file, else to the current folder."""
    return _configured(session, "path")


def evaluation(session: Session) -> Path | None:
    """The same for the evaluation file."""
    return _configured(session, "eval_path")


def _configured(session: Session, key: str) -> Path | None:
    config, document = config_of(session), session.document
    if not getattr(config.data, key):
        return None
    places = [document.path.parent, Path.cwd()] if document and document.path else [Path.cwd()]
    found = [Path(getattr(config_file.resolve(config, place).data, key)) for place in places]
    return next((path for path in found if path.exists()), found[0])


def use(document: Document, path: Path, cutoff: int) -> None:
    """Let `document` train on a file with a cut-off. Raises ConfigError."""
    document.set("data.path", "bundled" if path == BUNDLED_DATA else str(path.resolve()))
    document.set("data.max_seq_length", cutoff)


def likely_files(configured: Path | None) -> list[tuple[Path, str]]:
    """Each with what it is, "" for one that only lies here; the likeliest first."""
    found: dict[Path, str] = {}
    if configured is not None:
        found[configured] = tr("data.open_configured")
    if BUNDLED_DATA.is_file():
        found.setdefault(BUNDLED_DATA, tr("data.open_bundled"))
    for path in recent_files():
        found.setdefault(path, tr("data.open_recent"))
    for path in sorted(Path.cwd().iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            found.setdefault(path, "")
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
    return state_folder() / "recent_data"

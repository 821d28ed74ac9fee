"""Key bindings that the footer, `?` and the palette can name in the user's language, and the user's own keys.

A binding's description is a catalogue key, and so is its id: `"train.keys.pause" = "P"` in the user's keymap file
gives pause another key.
"""

from pathlib import Path

import tomli
from textual.binding import Binding

from data.user_folders import config_folder
from engine.errors import ConfigError


def bind(keys: str, action: str, text: str, *, show: bool = True, priority: bool = False, shown_as: str | None = None) -> Binding:
    """A binding called `text` (a catalogue key). `show=False` leaves it to `?`; `shown_as` replaces the key's name in the footer."""
    return Binding(keys, action, text, show=show, priority=priority, key_display=shown_as, id=text)


def keymap_file() -> Path:
    """Where the user's keys are, whether or not the file exists."""
    return config_folder() / "keys.toml"


def read_keymap(path: Path) -> dict[str, str]:
    """Binding id → keys; {} without a file. Raises ConfigError naming the file and what is wrong in it."""
    try:
        raw = tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ConfigError(f'{path}: {error}; write lines such as "train.keys.pause" = "P"') from error
    keys = dict(_flatten(raw))
    for name, value in keys.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f'{path}: {name} = {value!r} is no key; write for example "{name}" = "P"')
    return keys


def _flatten(table: dict, prefix: str = ""):
    """`a.b.c = …` and `"a.b.c" = …` mean the same."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

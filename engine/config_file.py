"""TOML in and out: presets and run configurations, `--set`, comment-preserving edits, the resolved snapshot of a run.

tomli reads, tomlkit writes. What a key means and allows is `engine.config`; nothing here starts a run.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomlkit
import tomlkit.exceptions

from engine import config as schema
from engine.config import Config
from engine.errors import ConfigError, EnvironmentFault

PRESETS = Path(__file__).resolve().parent.parent / "configs"
BUNDLED_DATA = Path(__file__).resolve().parent.parent / "data" / "bundled" / "crypto_zh.jsonl"
RESOLVED_ONLY = "resolved"
"""Table of a run's config.toml that is no configuration: versions and origin, for people and for resume."""


class Document:
    """A configuration being edited: TOML text with its comments, and the checked values it stands for."""

    def __init__(self, text: str, path: Path | None = None):
        """Parse and check `text`. Raises ConfigError with file, line or key, value seen and cure."""
        self.path = path
        self.values = parse(text, str(path or "configuration"))
        self._toml = tomlkit.parse(text)

    @property
    def text(self) -> str:
        """The TOML as it would be saved."""
        return tomlkit.dumps(self._toml)

    def set(self, key: str, value: Any) -> None:
        """Change one key ("train.learning_rate"); None unsets it. Raises ConfigError and changes nothing if it is not allowed."""
        section, name = _split_key(key)
        before = tomlkit.dumps(self._toml)
        table = self._toml.setdefault(section, tomlkit.table())
        if value is None:
            table.pop(name, None)
        elif name in table:
            _replace(table, name, value)
        else:
            table[name] = value
        try:
            self.values = parse(self.text, str(self.path or "configuration"))
        except ConfigError:
            self._toml = tomlkit.parse(before)
            raise

    def set_text(self, key: str, text: str) -> None:
        """Change one key from what a person typed ("2e-4", "true", "q_proj, v_proj"). Raises ConfigError."""
        self.set(key, value_from_text(key, text))

    def save(self, path: Path | None = None) -> None:
        """Write atomically to `path` (default: where it came from), comments intact. Raises EnvironmentFault."""
        target = path or self.path
        assert target is not None, "a document without a path needs one to be saved"
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(self.text, encoding="utf-8")
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise EnvironmentFault(f"{target}: cannot save ({error.strerror}); free space or choose another folder") from error
        self.path = target


def open_document(path: Path, sets: Iterable[str] = ()) -> Document:
    """The configuration at `path` with `KEY=VALUE` changes applied. Raises ConfigError."""
    document = Document(_read(path), path)
    for change in sets:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change!r}: write KEY=VALUE, for example --set train.learning_rate=1e-4")
        document.set_text(key.strip(), text.strip())
    return document


def presets() -> list[Path]:
    """The TOML files that ship with Danlu, by name."""
    return sorted(PRESETS.glob("*.toml"))


def find_config(name: str) -> Path:
    """`name` as a path, else as a preset's name. Raises ConfigError naming the presets."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = PRESETS / f"{path.name.removesuffix('.toml')}.toml"
    if path.parent == Path(".") and shipped.is_file():
        return shipped
    known = ", ".join(preset.stem for preset in presets())
    raise ConfigError(f"{name}: no such configuration file; give a path or one of the presets: {known}")


def parse(text: str, origin: str) -> Config:
    """Checked values of TOML text. Raises ConfigError: `origin`:line for syntax, `origin`: key for values."""
    try:
        raw = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: not valid TOML: {error}") from error
    raw.pop(RESOLVED_ONLY, None)
    _check_keys(raw, origin)
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), raw, origin)) from error


def value_from_text(key: str, text: str) -> Any:
    """What a person typed as the key's type: TOML if it parses as TOML, else a bare string; empty unsets an optional key."""
    section, name = _split_key(key)
    field = next(field for field in schema.fields() if field.key == key)
    if text == "" and field.default is None:
        return None
    accepts_text = _accepts(field.type, text)
    if isinstance(field.default, list) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        value = tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text
    return text if accepts_text and not isinstance(value, str | list) else value


def resolve(config: Config, base: Path) -> Config:
    """`config` with every path made absolute against `base` and the bundled names replaced."""
    data = msgspec.structs.replace(config.data, path=_data_path(config.data.path, base), eval_path=_data_path(config.data.eval_path, base))
    name = config.model.name
    local = (base / os.path.expanduser(name)).resolve()
    if config.model.source == "local" or name.startswith((".", "/", "~")) or local.exists():
        name = str(local)
    model = msgspec.structs.replace(config.model, name=name)
    run = msgspec.structs.replace(config.run, output_dir=str((base / config.run.output_dir).resolve()))
    return msgspec.structs.replace(config, data=data, model=model, run=run)


def write_resolved(path: Path, config: Config, facts: dict[str, str]) -> None:
    """The run's config.toml: every key with its value, and a table of facts (versions, origin). Raises EnvironmentFault."""
    tables = {section: {k: v for k, v in values.items() if v is not None} for section, values in msgspec.to_builtins(config).items()}
    try:
        path.write_text(tomlkit.dumps(tables | {RESOLVED_ONLY: facts}), encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot write ({error.strerror})") from error


def read_resolved(path: Path) -> Config:
    """The values of a run's config.toml. Raises ConfigError."""
    return parse(_read(path), str(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name the TOML file in it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


def _split_key(key: str) -> tuple[str, str]:
    section, _, name = key.partition(".")
    _check_keys({section: {name: None}} if name else {section: None}, "--set" if "=" in key else key)
    return section, name


def _check_keys(raw: dict[str, Any], origin: str) -> None:
    """Every section and key must be known; the message names the nearest known one."""
    keys: dict[str, list[str]] = {}
    for field in schema.fields():
        keys.setdefault(field.section, []).append(field.name)
    for section, table in raw.items():
        if section not in keys:
            raise ConfigError(f"{origin}: unknown section [{section}]{_nearest(section, keys, 'the sections are')}")
        if not isinstance(table, dict):
            raise ConfigError(f"{origin}: {section} = {table!r} stands alone; write a key of section [{section}], such as {section}.{keys[section][0]}")
        for name in table:
            if name not in keys[section]:
                every = {field.name: field.key for field in schema.fields()}
                if name in every:
                    raise ConfigError(f"{origin}: unknown key {section}.{name}; {name} belongs to section [{every[name].partition('.')[0]}]")
                raise ConfigError(f"{origin}: unknown key {section}.{name}{_nearest(name, keys[section], f'the keys of [{section}] are')}")


def _nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; {otherwise} {', '.join(known)}"


def _explain(message: str, raw: dict[str, Any], origin: str) -> str:
    """msgspec's message with the key, the value seen and what the key is for."""
    text, _, where = message.partition(" - at `$.")
    key = where.rstrip("`").partition("[")[0]
    section, _, name = key.partition(".")
    seen = raw.get(section, {}).get(name) if name else raw.get(section)
    about = next((field.help for field in schema.fields() if field.key == key), "")
    return f"{origin}: {key} = {seen!r}: {text[:1].lower()}{text[1:]}. {about}".rstrip()


def _accepts(type_: object, value: object) -> bool:
    try:
        msgspec.convert(value, type_)
        return True
    except msgspec.ValidationError:
        return False


def _replace(table: Any, name: str, value: Any) -> None:
    """Replace a value and keep the comment behind it and the way a float was written where it is the same number."""
    old = table[name]
    new = tomlkit.item(value)
    if hasattr(old, "trivia"):
        new.trivia.comment, new.trivia.comment_ws, new.trivia.trail = old.trivia.comment, old.trivia.comment_ws, old.trivia.trail
        new.trivia.indent = old.trivia.indent
    table[name] = new


def _data_path(path: str, base: Path) -> str:
    if path == "bundled":
        return str(BUNDLED_DATA)
    return str((base / os.path.expanduser(path)).resolve()) if path else ""

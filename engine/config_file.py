"""TOML in and out: presets and run configurations, `--set`, comment-preserving edits, the resolved snapshot of a run.

tomli reads, tomlkit writes. What a key means and allows is `engine.config`; nothing here starts a run.
"""

import difflib
import math
import os
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomlkit

from engine import config as schema
from engine import toml_edit
from engine.config import Config, FieldInfo
from engine.errors import ConfigError, EnvironmentFault
from engine.redaction import redact

PRESETS = Path(__file__).resolve().parent.parent / "configs"
BUNDLED_DATA = Path(__file__).resolve().parent.parent / "data" / "bundled" / "crypto_zh.jsonl"
RESOLVED_ONLY = "resolved"
"""Table of a run's config.toml that is no configuration: versions and origin, for people and for resume."""


class Document:
    """A configuration being edited: TOML text with its comments, and the checked values it stands for."""

    def __init__(self, text: str, path: Path | None = None):
        """Parse and check `text`. Raises ConfigError with file, line or key, value seen and cure."""
        self.path = path
        self.values = parse(text, self._origin)
        self._toml = toml_edit.parse(text, self._origin)

    @property
    def text(self) -> str:
        """The TOML as it would be saved."""
        return tomlkit.dumps(self._toml)

    def set(self, key: str, value: Any) -> None:
        """Change one key ("train.learning_rate"); None unsets it. Raises ConfigError and changes nothing if it is not allowed."""
        self._set(key, None if value is None else tomlkit.item(value))

    def set_text(self, key: str, text: str) -> None:
        """Change one key from what a person typed ("2e-4", "true", "q_proj, v_proj"); a number stays written as typed.

        Raises ConfigError and changes nothing if it is not allowed.
        """
        value = value_from_text(key, text)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        self._set(key, toml_edit.number_as_typed(text, value) if is_number else None if value is None else tomlkit.item(value))

    def typed(self, key: str) -> str:
        """What a person would type for the value the key has; "" when it is unset. A number reads as the file writes it."""
        section, name = _split_key(key)
        value = getattr(getattr(self.values, section), name)
        if value is None or isinstance(value, str):
            return value or ""
        return toml_edit.find(self._toml[section], name).as_string() if self.has(key) else tomlkit.item(value).as_string()

    def has(self, key: str) -> bool:
        """Whether the file gives the key; else its default holds."""
        section, name = _split_key(key)
        return name in self._toml.get(section, {})

    def _set(self, key: str, item: Any) -> None:
        section, name = _split_key(key)
        before = self.text
        if item is None:
            self._toml.get(section, {}).pop(name, None)
        elif name in self._toml.get(section, {}):
            toml_edit.replace(self._toml[section], name, item)
        else:
            toml_edit.add(self._toml, section, name, item)
        try:
            self.values = parse(self.text, self._origin)
        except ConfigError:
            self._toml = tomlkit.parse(before)
            raise

    @property
    def _origin(self) -> str:
        return str(self.path or "configuration")

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
    _check_finite(raw, origin)
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), raw, origin)) from error


def value_from_text(key: str, text: str) -> Any:
    """What a person typed, as the key's kind; text that fits it in no way comes back as it is, for the check to refuse.

    Empty unsets an optional key. Texts need no quotes. A list is TOML, names with commas, or one text. Full-width digits and
    signs, which Chinese input methods leave behind, count as plain ones where a number, a flag or a choice is meant.
    Raises ConfigError for an unknown key.
    """
    field = find_field(key)
    if text == "" and field.is_optional:
        return None
    if field.kind not in ("text", "list"):
        text = unicodedata.normalize("NFKC", text).strip()
    value = _from_toml(text.lower() if field.kind == "flag" else text)
    if field.kind == "text":
        return value if isinstance(value, str) else text
    if field.kind in ("names", "list"):
        return value if isinstance(value, str | list) else _list_from_text(field, text)
    return text if value is None else float(value) if field.kind == "number" and type(value) is int else value


def find_field(key: str) -> FieldInfo:
    """What is known of `key` ("train.learning_rate"). Raises ConfigError naming the nearest known one."""
    _split_key(key)
    return next(field for field in schema.fields() if field.key == key)


def allowed(field: FieldInfo) -> str:
    """What a key accepts, in words: "a whole number from 1 to 4096", "one of cosine, linear, constant"."""
    if field.kind == "choice":
        return f"one of {', '.join(field.choices)}"
    words = {"flag": "true or false", "whole": "a whole number", "number": "a number", "text": "a text"}
    text = words.get(field.kind, "a list of texts" if field.kind == "list" else "a text or a list of texts")
    bounds = [f"{word} {bound:g}" for word, bound in (("from", field.lowest), ("above", field.above)) if bound is not None]
    bounds += [f"{word} {bound:.10g}" for word, bound in (("to", field.highest), ("below", field.below)) if bound is not None]
    return " ".join([text, *bounds]) + (", or unset" if field.is_optional else "")


def resolve(config: Config, base: Path) -> Config:
    """`config` with every path made absolute against `base` and the bundled names replaced."""
    data = msgspec.structs.replace(config.data, path=_data_path(config.data.path, base), eval_path=_data_path(config.data.eval_path, base))
    name = config.model.name
    local = os.path.abspath(base / os.path.expanduser(name))
    if config.model.source == "local" or name.startswith((".", "/", "~")) or (name != "demo" and os.path.exists(local)):
        name = local
    model = msgspec.structs.replace(config.model, name=name)
    run = msgspec.structs.replace(config.run, output_dir=str((base / config.run.output_dir).resolve()))
    return msgspec.structs.replace(config, data=data, model=model, run=run)


def write_resolved(path: Path, config: Config, facts: dict[str, str]) -> None:
    """The run's config.toml: every key with its value, and a table of facts (versions, origin). Raises EnvironmentFault."""
    tables = {section: {k: v for k, v in values.items() if v is not None} for section, values in msgspec.to_builtins(config).items()}
    try:
        path.write_text(redact(tomlkit.dumps(tables | {RESOLVED_ONLY: facts})), encoding="utf-8")
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
    if not name:
        every = {field.name: field.key for field in schema.fields()}
        near = difflib.get_close_matches(section, list(every), n=1, cutoff=0.6)
        cure = f"did you mean {every[near[0]]}?" if near else "write SECTION.KEY, such as train.learning_rate"
        raise ConfigError(f"{key}: no such key; {cure}")
    _check_keys({section: {name: None}}, "--set")
    return section, name


def _check_keys(raw: dict[str, Any], origin: str) -> None:
    """Every section and key must be known; the message names the nearest known one."""
    keys = _known()
    for section, table in raw.items():
        if section not in keys:
            raise ConfigError(f"{origin}: unknown section [{section}]{_nearest(section, keys, 'the sections are')}")
        if not isinstance(table, dict):
            example = f"{section}.{keys[section][0]}"
            raise ConfigError(f"{origin}: {section} = {table!r} stands alone; write a key of section [{section}], such as {example}")
        for name in table:
            if name not in keys[section]:
                raise ConfigError(f"{origin}: unknown key {section}.{name}{_nearest_key(section, name, keys)}")


@cache
def _known() -> dict[str, list[str]]:
    """Sections with the names of their keys."""
    keys: dict[str, list[str]] = {}
    for field in schema.fields():
        keys.setdefault(field.section, []).append(field.name)
    return keys


def _nearest_key(section: str, name: str, keys: dict[str, list[str]]) -> str:
    """The cure for an unknown key: its right section, or the nearest name in this one."""
    home = next((other for other, names in keys.items() if name in names), None)
    if home is not None and not difflib.get_close_matches(name, keys[section], n=1, cutoff=0.8):
        return f"; {name} belongs to section [{home}]"
    return _nearest(name, keys[section], f"the keys of [{section}] are", f"{section}.")


def _nearest(name: str, known: Iterable[str], otherwise: str, before: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {before}{close[0]}?" if close else f"; {otherwise} {', '.join(known)}"


def _check_finite(raw: dict[str, Any], origin: str) -> None:
    """TOML knows inf and nan; no key of ours does."""
    for section, table in raw.items():
        for name, value in table.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{origin}: {section}.{name} = {value}: must be {allowed(find_field(f'{section}.{name}'))}")


def _explain(message: str, raw: dict[str, Any], origin: str) -> str:
    """msgspec's refusal as key, value seen, what is allowed, and the nearest choice."""
    _, _, where = message.partition(" - at `$.")
    key = where.rstrip("`").partition("[")[0]
    field = find_field(key)
    seen = raw[field.section][field.name]
    near = difflib.get_close_matches(seen, field.choices, n=1, cutoff=0.5) if isinstance(seen, str) else []
    cure = f"; did you mean {near[0]}?" if near else ""
    shown = str(seen).lower() if isinstance(seen, bool) else repr(seen)
    rule = "not empty" if field.kind == "text" and seen == "" else allowed(field)
    if field.key == "run.name":
        rule = "at most 64 of the letters A-Z a-z 0-9 . _ -"
    return f"{origin}: {key} = {shown}: must be {rule}{cure}"


def _from_toml(text: str) -> Any:
    """The one TOML value that `text` is, None if it is none."""
    try:
        found = tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError:
        return None
    return found["value"] if len(found) == 1 else None


def _list_from_text(field: FieldInfo, text: str) -> str | list[str]:
    """Names need no brackets; of texts, which may hold commas, one needs none."""
    if field.kind == "list":
        return [text] if text.strip() else []
    names = [name.strip() for name in text.split(",") if name.strip()]
    return text if names == [field.default] or not names or text.startswith("[") else names


def _data_path(path: str, base: Path) -> str:
    if path == "bundled":
        return str(BUNDLED_DATA)
    return str((base / os.path.expanduser(path)).resolve()) if path else ""

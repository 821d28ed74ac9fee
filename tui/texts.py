"""The catalogues: what the console says, in English and Chinese.

`tui/texts/<namespace>.toml` holds `key = { en = "…", zh = "…" }`, nested tables allowed. `tr("train.state.paused")` reads
`[state] paused` of `train.toml`; `{n:record|records}` in a text is the first word where n is 1, else the second. A namespace is
read when it is first asked for. Errors of `data` and `engine` are English sentences; `errors.toml` says the common ones in Chinese, by
their code (`tui.error_text`).
"""

import locale
import os
import string
from pathlib import Path
from typing import Any, Literal

import tomli

FOLDER = Path(__file__).with_name("texts")
STRICT = "PYTEST_VERSION" in os.environ
"""In tests a missing text raises; a user sees the key instead of a crash."""

Language = Literal["en", "zh"]

_catalogues: dict[str, dict[str, Any]] = {}
_language: Language | None = None


class _Filler(string.Formatter):
    """`str.format` that also chooses between a word for one and a word for several."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, bar, several = format_spec.partition("|")
        return (one if str(value) == "1" else several) if bar else super().format_field(value, format_spec)


_FILLER = _Filler()


def tr(key: str, /, **values: object) -> str:
    """The text of `key` in the current language, its {placeholders} filled in."""
    text = _find(key)
    return _FILLER.vformat(text, (), values) if values else text


def has(key: str) -> bool:
    """Whether `key` has a text (for names that come from a newer engine)."""
    return _entry(key) is not None


def set_language(name: str) -> None:
    """Use "en" or "zh"; "auto" takes the locale's."""
    global _language  # noqa: PLW0603 - one console speaks one language; passing it through every widget would say nothing more
    _language = "zh" if name == "zh" else "en" if name == "en" else _from_locale()


def language() -> Language:
    """The language in use."""
    if _language is None:
        set_language("auto")
    assert _language is not None
    return _language


def _from_locale() -> Language:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


def _find(key: str) -> str:
    entry = _entry(key)
    if entry is not None and language() in entry:
        return entry[language()]
    if STRICT:
        raise KeyError(f"no {language()} text for {key!r} in {FOLDER.name}/{key.partition('.')[0]}.toml")
    return key


def _entry(key: str) -> dict[str, str] | None:
    namespace, _, rest = key.partition(".")
    node: Any = _catalogue(namespace)
    for part in rest.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node if isinstance(node, dict) and isinstance(node.get("en", node.get("zh")), str) else None


def _catalogue(namespace: str) -> dict[str, Any]:
    if namespace not in _catalogues:
        path = FOLDER / f"{namespace}.toml"
        _catalogues[namespace] = tomli.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return _catalogues[namespace]

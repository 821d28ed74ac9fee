"""The single values inside a raw record, each with the path that leads to it, and records with one of them replaced."""

import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""Keys and places that lead to a value; () for the whole record."""


def fields(raw: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text, number, flag and null of a record as text, in order; empty lists and objects too, as JSON."""
    if isinstance(raw, dict) and raw:
        for key, value in raw.items():
            yield from fields(value, (*path, key))
    elif isinstance(raw, list) and raw:
        for place, value in enumerate(raw):
            yield from fields(value, (*path, place))
    else:
        yield path, as_text(raw)


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def value_at(raw: Any, path: Path) -> Any:
    for step in path:
        raw = raw[step]
    return raw


def replaced(raw: Any, path: Path, text: str) -> Any:
    """The record with `text` at `path`; where no text stood, `text` is read as JSON if it is any. The record given stays as it is."""
    if path:
        copy = raw.copy()
        copy[path[0]] = replaced(raw[path[0]], path[1:], text)
        return copy
    if isinstance(raw, str):
        return text
    try:
        return json.loads(text, parse_constant=lambda name: text)
    except (ValueError, RecursionError):
        return text


def path_name(path: Path) -> str:
    """conversations[0].value"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")

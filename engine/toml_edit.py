"""Edits of TOML that leave a person's comments, order and way of writing where they are. Knows no key of ours."""

import unicodedata
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Item, Table, Whitespace

from engine.errors import ConfigError


def parse(text: str, origin: str) -> TOMLDocument:
    """TOML to edit. Raises ConfigError for TOML 1.1, which tomli reads and tomlkit does not."""
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"{origin}: cannot be edited: {error}; write it as TOML 1.0") from error


def number_as_typed(text: str, value: int | float) -> Any:
    """`text` as a TOML number where it is one and stands for `value` (2e-4 stays 2e-4), else `value` in TOML's own way."""
    try:
        item = tomlkit.value(unicodedata.normalize("NFKC", text).strip())
    except TOMLKitError:
        return tomlkit.item(value)
    return item if item.unwrap() == value else tomlkit.item(value)


def find(table: Any, name: str) -> Item:
    """The value of a key with its trivia; plain indexing unwraps true and false."""
    value = table[name]
    if isinstance(value, Item):
        return value
    return table.value.item(name) if isinstance(table, AbstractTable) else tomlkit.item(value)


def replace(table: Any, name: str, item: Any) -> None:
    """Put `item` in the place of a value and keep the comment behind it."""
    trivia = find(table, name).trivia
    item.trivia.indent, item.trivia.comment_ws, item.trivia.comment, item.trivia.trail = (
        trivia.indent, trivia.comment_ws, trivia.comment, trivia.trail
    )  # fmt: skip
    table[name] = item


def add(toml: TOMLDocument, section: str, name: str, item: Any) -> None:
    """A new key behind the last of its section, a new section at the end; comments above the next section stay above it."""
    if section not in toml:
        _add_section(toml, section, name, item)
        return
    table = toml[section]
    body = table.value.body if isinstance(table, Table) else []
    end = _end_of_keys(body)
    behind, body[end:] = body[end:], []
    if body and hasattr(body[-1][1], "trivia"):
        body[-1][1].trivia.trail = body[-1][1].trivia.trail or "\n"
    table[name] = item
    body.extend(behind)


def _add_section(toml: TOMLDocument, section: str, name: str, item: Any) -> None:
    table = tomlkit.table()
    table[name] = item
    text = toml.as_string()
    if text.strip() and not text.endswith("\n\n"):
        toml.add(tomlkit.nl())
    toml[section] = table


def _end_of_keys(body: list[tuple[Any, Any]]) -> int:
    """Place of the first blank line behind the last key, or the end."""
    last = max((place for place, (key, _) in enumerate(body) if key is not None), default=-1)
    return next((place for place in range(last + 1, len(body)) if isinstance(body[place][1], Whitespace)), len(body))

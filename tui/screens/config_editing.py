"""A configuration being edited, with everything a person may want back: each change can be undone, also opening another file.

No widgets; `tui.screens.config` shows it. What a value may be is `engine.config_file`'s to say.
"""

from dataclasses import dataclass
from pathlib import Path

from engine.config import FieldInfo, fields
from engine.config_file import PRESETS, Document
from engine.errors import ConfigError

DEPTH = 500
"""Changes that can be undone."""


@dataclass(frozen=True)
class _Moment:
    """document's text and path, what it is compared with, what is on disk, and the key the change was about."""

    text: str
    path: Path | None
    base: Document
    saved: str
    key: str


class Editing:
    """document: as it is now.  base: the preset or file as it was opened, which differences are told from."""

    def __init__(self, document: Document, saved: str | None = None):
        """saved: the text that is on disk; by default what the document says now."""
        self.document = document
        self.base = Document(document.text, document.path)
        self.saved = document.text if saved is None else saved
        self._past: list[_Moment] = []
        self._future: list[_Moment] = []

    @property
    def is_unsaved(self) -> bool:
        """Whether something would be lost that is in no file."""
        return self.document.text != self.saved

    @property
    def is_shipped(self) -> bool:
        """Whether the document is one of Danlu's presets, which are never written over."""
        path = self.document.path
        return path is not None and path.resolve().parent == PRESETS.resolve()

    @property
    def name(self) -> str:
        """File name of the document; "" while it has none."""
        return self.document.path.name if self.document.path else ""

    def open(self, document: Document) -> None:
        """Go on with another document; undo comes back to this one."""
        self._remember("")
        self.document, self.base, self.saved = document, Document(document.text, document.path), document.text

    def set_text(self, key: str, text: str) -> None:
        """Change a key from what was typed. Raises ConfigError and changes nothing when it is not allowed."""
        changed = Document(self.document.text, self.document.path)
        changed.set_text(key, text)
        self._put(key, changed)

    def reset(self, key: str) -> str:
        """Back to the preset's value, from there to the schema's default; says which: "preset", "default", or "" when both are it."""
        changed = Document(self.document.text, self.document.path)
        field = next(field for field in fields() if field.key == key)
        if value(self.base, key) != value(self.document, key):
            changed.set_text(key, self.base.typed(key)) if self.base.has(key) else changed.set(key, None)
        elif value(self.document, key) != field.default:
            changed.set(key, field.default)
        else:
            return ""
        is_presets = value(self.base, key) == value(changed, key)
        self._put(key, changed)
        return "preset" if is_presets else "default"

    def refusal(self, key: str, text: str) -> str:
        """Why `text` is not allowed for the key, "" when it is. Changes nothing."""
        try:
            Document("").set_text(key, text)
        except ConfigError as error:
            return str(error).removeprefix("configuration: ")
        return ""

    def undo(self) -> str | None:
        """Take the last change back; the key it was about ("" for a whole file), None when there is none."""
        return self._step(self._past, self._future)

    def redo(self) -> str | None:
        """Do again what was undone last."""
        return self._step(self._future, self._past)

    def save(self, path: Path | None = None) -> None:
        """Write the document, by default where it came from. Raises EnvironmentFault."""
        assert path is not None or not self.is_shipped, "shipped presets are never written over"
        self.document.save(path)
        self.saved = self.document.text

    def is_changed(self, key: str) -> bool:
        """Whether the key's value is another than the preset's."""
        return value(self.document, key) != value(self.base, key)

    def differences(self) -> list[FieldInfo]:
        """The keys whose values are others than the preset's."""
        return [field for field in fields() if self.is_changed(field.key)]

    def _put(self, key: str, changed: Document) -> None:
        if changed.text != self.document.text:
            self._remember(key)
            self.document = changed

    def _remember(self, key: str) -> None:
        self._past = [*self._past[-DEPTH:], self._moment(key)]
        self._future.clear()

    def _moment(self, key: str) -> _Moment:
        return _Moment(self.document.text, self.document.path, self.base, self.saved, key)

    def _step(self, source: list[_Moment], target: list[_Moment]) -> str | None:
        """Swap the present with the last of `source`. A save in between stays one: what is on disk did not change."""
        if not source:
            return None
        moment = source.pop()
        target.append(self._moment(moment.key))
        is_same_file = moment.base is self.base
        self.document = Document(moment.text, self.document.path if is_same_file else moment.path)
        self.base, self.saved = moment.base, self.saved if is_same_file else moment.saved
        return moment.key


def value(document: Document, key: str) -> object:
    """The checked value of a key."""
    section, _, name = key.partition(".")
    return getattr(getattr(document.values, section), name)

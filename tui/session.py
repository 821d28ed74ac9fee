"""What the screens share: the configuration being edited, the data file, the attached run, where runs live."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.config_file import Document
from engine.run_directory import RunDirectory
from tui import glyphs


@dataclass
class Session:
    """Plain state; screens read it when they are shown, and change it only through `DanluApp`'s methods."""

    document: Document | None = None
    unsaved: str = ""
    """Name of the document when it holds changes that are in no file; leaving the console asks first."""
    data_path: Path | None = None
    run: RunDirectory | None = None
    is_launching: bool = False
    """The attached run's engine was launched a moment ago and may not have shown itself yet."""
    chat_run: RunDirectory | None = None
    """Whose model was chosen for the chat screen; without a choice it takes the attached run, or the newest that can be asked."""
    output_dir: Path = field(default_factory=lambda: Path("runs"))
    ascii: bool = False

    @property
    def glyphs(self) -> glyphs.Glyphs:
        """The signs to draw with."""
        return glyphs.ASCII if self.ascii else glyphs.UNICODE

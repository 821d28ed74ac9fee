"""What is left of a defect: its traceback in a file, and one harmless sentence for the terminal.

A traceback shows local values, which may be outside text; so it never goes to the terminal itself.
"""

import os
import tempfile
import time
import traceback
from pathlib import Path

from data.user_folders import cache_folder
from tui.gate import safe_lines
from tui.texts import tr


def tell(error: BaseException) -> str:
    """Write the traceback of `error`; return the message that names it and the file."""
    return tr("cli.unexpected", error=safe_lines(f"{type(error).__name__}: {error}"), path=_write(error))


def _write(error: BaseException) -> Path:
    """The file, in the cache folder, or in the temporary one where that can't be written."""
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (cache_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
            return folder / name
        except OSError:
            continue
    return Path(os.devnull)

"""The tokenizer of the configured model, from what is on this machine. Fetches nothing, converts no weights, imports no torch."""

import os
import shutil
from pathlib import Path

from data.errors import DanluError
from data.gguf_tokenizer import write_tokenizer
from data.tokenizer import Tokenizer, load_tokenizer
from engine import model_source
from engine.config import Model
from engine.errors import EnvironmentFault, ModelError


def tokenizer_of(model: Model) -> Tokenizer:
    """Raises ModelError with the command that gets the model when it is not here, TemplateError for an unusable one."""
    folder = _tokenizer_folder(model) or model_source.local_folder(model) or _from_gguf(model)
    if folder is None:
        raise ModelError(f"{model.name} is not on this machine, so its tokens cannot be counted; get it with: danlu fetch {model.name}")
    return load_tokenizer(folder)


def _tokenizer_folder(model: Model) -> Path | None:
    """A local folder needs no weights for its tokens to be counted."""
    folder = Path(model.name).expanduser()
    return folder if (folder / "tokenizer.json").is_file() else None


def _from_gguf(model: Model) -> Path | None:
    """The tokenizer inside a GGUF whose weights nobody has converted yet, written once into the cache."""
    try:
        file = model_source.demo_file() if model.name == model_source.DEMO else Path(model.name).expanduser()
    except DanluError:
        return None
    if file.suffix != ".gguf" or not file.is_file():
        return None
    facts = file.stat()
    folder = model_source.cache_folder().with_name("tokenizers") / f"{file.stem}-{facts.st_size:x}-{facts.st_mtime_ns:x}"
    if not (folder / "tokenizer.json").is_file():
        _write(file, folder)
    return folder


def _write(file: Path, folder: Path) -> None:
    """Atomically: another console may do the same at this moment."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        write_tokenizer(file, temporary)
        temporary.rename(folder)
    except OSError as error:
        if not (folder / "tokenizer.json").is_file():
            raise EnvironmentFault(f"{folder}: cannot be written ({error.strerror}); free space or set XDG_CACHE_HOME") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

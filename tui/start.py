"""Starting and resuming a run: everything that can be known without torch is checked before a run directory is made.

What fails leaves nothing behind. Following the run is `tui.follow`; what the engine does is its own.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from data.reading import open_file
from engine import model_source
from engine.changes import LENGTH, Change, changed_document, length_of
from engine.config import Config, Data, Model, Run
from engine.config_file import Document, resolve, write_resolved
from engine.contradictions import check_together
from engine.engine_log import last_lines
from engine.errors import ConfigError, EnvironmentFault, ModelError, RunError
from engine.host import read_versions
from engine.launch import launch_engine
from engine.run_directory import RunDirectory, create, free_name
from tui.summary import reference, summarise

READ_WHOLE_BYTES = 64 << 20
"""A data file up to this size is read until its first usable record before a run is made; of a larger one, its first rows."""
START_PATIENCE_S = 20.0
"""An engine takes its lock within a second; on a cold disk Python alone may need several."""
RESERVED = ("", "bundled", model_source.DEMO)
"""Values of data.path and model.name that are no paths."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def start_run(document: Document, name: str = "", runs_dir: Path | None = None) -> RunDirectory:
    """A new run of `document`, its engine holding the lock.

    name: of the run directory; empty takes run.name, else one is made from the preset and the time.
    runs_dir: where runs go when the document does not say.
    Raises DanluError, or OSError where no process can be started; then there is no run directory either.
    """
    config = resolved(document, runs_dir)
    check(config)
    output_dir = Path(config.run.output_dir)
    stem = document.path.stem if document.path else "run"
    run = create(output_dir, name or config.run.name or free_name(output_dir, stem))
    try:
        config = msgspec.structs.replace(config, run=Run(output_dir=str(output_dir), name=run.name))
        write_resolved(run.config, config, read_versions() | {"preset": str(document.path or "")})
        _launch(run)
    except BaseException:
        if not run.is_alive():
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def resume_run(run: RunDirectory, sets: Sequence[str] = ()) -> list[Change]:
    """An engine that goes on with `run` from its newest checkpoint, holding the lock; return what `sets` changed.

    sets: KEY=VALUE of what is to be otherwise from now on; a finished run goes on when that makes it longer.
    Raises RunError for a run that is live or finished, other DanluErrors for what the engine would stumble over.
    """
    state = summarise(run)
    if state.is_alive:
        raise RunError(f"{run.name}: an engine is already running here (pid {run.holder()}); watch it with `danlu attach {run.name}`")
    document, changed = changed_document(run, sets)
    if state.status == "finished" and not {change.key for change in changed} & set(LENGTH):
        key, length = length_of(run)
        raise RunError(
            f"{run.name}: finished after step {state.step}, its result is in {run.final_model}; to train longer than {key} = {length}, "
            f"danlu resume {reference(run)} --set {key}=N"
        )
    check(document.values)
    if changed:
        document.save()
    _launch(run)
    return changed


def resolved(document: Document, runs_dir: Path | None = None) -> Config:
    """The document's values with absolute paths.

    Data and model lie beside the configuration file or else in the current folder; runs in `runs_dir` unless the
    document names another folder, always seen from the current one.
    """
    config, folder = document.values, document.path.parent if document.path else Path()
    data = msgspec.structs.replace(config.data, path=_beside(folder, config.data.path), eval_path=_beside(folder, config.data.eval_path))
    model = msgspec.structs.replace(config.model, name=_beside(folder, config.model.name))
    run = config.run
    if runs_dir is not None and run.output_dir == Run().output_dir:
        run = msgspec.structs.replace(run, output_dir=str(runs_dir.absolute()))
    return resolve(msgspec.structs.replace(config, data=data, model=model, run=run), Path.cwd())


def check(config: Config) -> None:
    """Raise DanluError for settings that contradict each other, data that cannot be read, and a model that is none, as far as that shows
    without torch."""
    check_together(config)
    check_data(config.data)
    check_model(config.model)


def check_data(data: Data) -> None:
    """Raise ConfigError without a data file, DataError for one that cannot be read or has no usable record."""
    if not data.path:
        raise ConfigError("data.path is empty; name a data file (--set data.path=FILE), or 'bundled' for the set that ships with Danlu")
    for path in filter(None, (data.path, data.eval_path)):
        dataset = open_file(Path(path), data.format, data.strict, 1, data.columns)
        if not dataset.records and dataset.progress[1] <= READ_WHOLE_BYTES:
            dataset.index()


def check_model(model: Model) -> None:
    """Raise ModelError for a folder without a model and for what is neither a folder nor a hub name; fetches nothing."""
    path = Path(os.path.expanduser(model.name))
    if model.name == model_source.DEMO:
        model_source.demo_file()
    elif path.suffix == ".gguf" and path.is_file():
        return  # the engine converts it once
    elif path.is_dir() or model.source == "local" or path.suffix == ".gguf" or path.is_absolute():
        model_source.locate(model, lambda done, total, detail: None, allow_fetch=False)
    elif not HUB_NAME.fullmatch(model.name):
        raise ModelError(f"model.name = {model.name!r}: neither a folder here nor a hub name like Qwen/Qwen3-0.6B")


def _launch(run: RunDirectory) -> None:
    """Start the engine and wait until it holds the lock. Raises EnvironmentFault with its last words when it ends before that."""
    words_before, events_before = _size(run.engine_log), _size(run.events)
    process = launch_engine(run)
    deadline = time.monotonic() + START_PATIENCE_S
    while not run.is_alive() and _is_running(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    if _is_running(process) or _size(run.events) > events_before:
        return  # what went wrong after the lock was taken is in the events
    last_words = last_lines(run) if _size(run.engine_log) > words_before else []
    raise EnvironmentFault("\n".join([f"the engine ended before it began (exit code {process.returncode}):", *last_words]))


def _is_running(process: subprocess.Popen) -> bool:
    return process.poll() is None


def _beside(folder: Path, name: str) -> str:
    """`name` as a path beside the configuration file if there is such a file or folder, else as it is."""
    candidate = os.path.abspath(folder / os.path.expanduser(name))
    return candidate if name not in RESERVED and os.path.exists(candidate) else name


def _size(path: Path | str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0

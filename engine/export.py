"""A run's trained adapter as a folder that other tools load: merged into its base, or alone. `python -m engine.export` is its process.

Order: which adapter, where to, which base; then tensor by tensor; then sealed, read back and renamed (`engine.manifest`), so that a
kill leaves nothing half. Tells in JSON lines on stdout: {"phase", "done", "total"}, and last {"result"} or {"error", …}.
Torch is imported only when there is something to merge, so that wrong input is told at once.
"""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from data.errors import DanluError
from engine.chosen_adapter import choose_adapter, step_of
from engine.config import Config
from engine.config_file import read_resolved
from engine.errors import ConfigError, ModelError
from engine.manifest import MANIFEST, write_verified
from engine.model_card import base_license, model_card
from engine.model_source import ALLOWED_FILES, hub_name, loadable_name, local_folder, locate, read_config
from engine.run_directory import RunDirectory

DTYPES = ("auto", "bf16", "fp16", "fp32")
TRAINING_ONLY = ("optimizer.safetensors", "state.json", "training.json", MANIFEST)
"""What a checkpoint or the final model holds beside its adapter for the run itself; others have the model card."""
INTERRUPTED = 130

Tell = Callable[[str, int, int], None]
"""Phase (merge, verify), done, total."""


@dataclass(frozen=True)
class Order:
    """What is to be exported. checkpoint: a step, None for the final model, else the newest.  alone: the adapter without its base."""

    run: RunDirectory
    target: Path
    checkpoint: int | None = None
    alone: bool = False
    dtype: str = "auto"
    force: bool = False


def export(order: Order, tell: Tell) -> dict[str, Any]:
    """Fill the target and return what is told of it. Raises DanluError, OSError; the target is as before then."""
    config = read_resolved(order.run.config)
    adapter = choose_adapter(order.run, order.checkpoint)
    step = step_of(adapter)
    _check_target(order)
    base = local_folder(config.model) if order.alone else locate(config.model, lambda done, total, detail: None, allow_fetch=False)
    order.target.parent.mkdir(parents=True, exist_ok=True)
    _clear_left(order.target)
    made = _copy_adapter(order, config, adapter, step, base, tell) if order.alone else _merge(order, config, adapter, step, base, tell)
    told = {"path": str(order.target), "base": config.model.name, "quantization": config.model.quantization, "step": step}
    return told | made


def _check_target(order: Order) -> None:
    """Only what nobody misses is written over: nothing, an empty folder, and by force an earlier export."""
    target = order.target
    if target.is_relative_to(order.run.path.resolve()):
        raise ConfigError(
            f"--out {target}: lies inside the run, which is deleted as a whole; choose a folder outside it", "out_in_run", path=target
        )
    if target.is_file():
        raise ConfigError(f"--out {target}: is a file; name a folder", "out_is_file", path=target)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not _is_export(target):
        raise ConfigError(
            f"--out {target}: holds something else than an export; choose another folder, or empty this one yourself",
            "out_in_use", path=target,
        )  # fmt: skip
    if not order.force:
        raise ConfigError(
            f"--out {target}: holds an export already; choose another folder, or replace it with --force", "out_is_export", path=target
        )


def _is_export(folder: Path) -> bool:
    try:
        return "exported_from" in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _clear_left(target: Path) -> None:
    """Remove what killed exports to `target` left beside it."""
    for left in target.parent.glob(".tmp-*"):
        name, _, pid = left.name.removeprefix(".tmp-").rpartition("-")
        if name == target.name and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _copy_adapter(order: Order, config: Config, adapter: Path, step: int, base: Path | None, tell: Tell) -> dict[str, Any]:
    """The adapter as peft loads it, with the tokenizer where that was saved beside it, and how others know its base."""
    files = [path for path in adapter.iterdir() if path.name not in TRAINING_ONLY]
    licences = base_license(config, base).files
    name, revision = hub_name(config.model, base)

    def write(folder: Path) -> None:
        for path in (*files, *licences):
            shutil.copyfile(path, folder / path.name)
        _name_base(folder / "adapter_config.json", name or Path(config.model.name).name, revision)
        (folder / "README.md").write_text(model_card(order.run, config, step, base), encoding="utf-8")
        tell("verify", 0, 0)

    size = write_verified(order.target, write, sum(path.stat().st_size for path in files), _facts(order), spare=1)
    onto = loadable_name(config.model, base) if base else config.model.name
    tensors = _count_tensors(adapter / "adapter_model.safetensors")
    return {"bytes": size, "tensors": tensors, "merged": 0, "dtype": "fp32", "shift": None, "hub_base": name, "loads_onto": onto}


def _name_base(config: Path, name: str, revision: str) -> None:
    """Let the copy name its base as others know it: the path it has here says nothing elsewhere, and something of whoever made it."""
    values = json.loads(config.read_text(encoding="utf-8")) | {"base_model_name_or_path": name, "revision": revision or None}
    config.write_text(json.dumps(values, ensure_ascii=False, indent=2), encoding="utf-8")


def _count_tensors(file: Path) -> int:
    from safetensors import safe_open

    with safe_open(file, "np") as weights:
        return len(weights.keys())


def _merge(order: Order, config: Config, adapter: Path, step: int, base: Path, tell: Tell) -> dict[str, Any]:
    """The whole model: the base's files with the adapter in its weights."""
    _check_base(order, base)
    from engine.base_weights import plan_shards
    from engine.merged_weights import MergedWeights, dtype_of

    dtype = dtype_of(order.dtype)
    shards = plan_shards(base, dtype)
    weights = MergedWeights(adapter, shards, dtype)

    def write(folder: Path) -> None:
        weights.write(folder, lambda done, total: tell("merge", done, total))
        for path in _companions(base):
            shutil.copyfile(path, folder / path.name)
        if dtype is not None:
            _name_type(folder / "config.json", dtype)
        (folder / "README.md").write_text(model_card(order.run, config, step, base, weights.sentence), encoding="utf-8")
        tell("verify", 0, 0)

    size = write_verified(order.target, write, sum(shard.num_bytes for shard in shards), _facts(order), spare=1)
    return {"bytes": size} | weights.facts


def _check_base(order: Order, base: Path) -> None:
    if order.target == base.resolve():
        raise ConfigError(f"--out {order.target}: is the base model of the run; choose another folder", "out_is_base", path=order.target)
    if "quantization_config" in read_config(base):
        raise ModelError(
            f"{base}: its weights are published quantised, and nothing is merged into those; export the adapter alone with --adapter",
            "base_quantised", path=base,
        )  # fmt: skip


def _companions(base: Path) -> list[Path]:
    """Everything of a model but its weights: configuration, tokenizer, template, licence."""
    return [
        path for path in base.iterdir()
        if path.is_file() and ".safetensors" not in path.name and any(path.match(pattern) for pattern in ALLOWED_FILES)
    ]  # fmt: skip


def _name_type(config: Path, dtype: Any) -> None:
    """Let the copy's config.json say the type it is stored in, under the name it uses for that."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values["dtype" if "dtype" in values else "torch_dtype"] = str(dtype).removeprefix("torch.")
    config.write_text(json.dumps(values, ensure_ascii=False, indent=2), encoding="utf-8")


def _facts(order: Order) -> dict[str, str]:
    return {"exported_from": order.run.name}


def _tell(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def main() -> int:
    """The process: an interruption leaves nothing behind; every error is told once, with the exit code of its kind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m engine.export")
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--checkpoint", type=int)
    parser.add_argument("--adapter", action="store_true")
    parser.add_argument("--dtype", choices=DTYPES, default="auto")
    parser.add_argument("--force", action="store_true")
    said = parser.parse_args()
    order = Order(RunDirectory(said.run), said.target.resolve(), said.checkpoint, said.adapter, said.dtype, said.force)
    try:
        _tell({"result": export(order, lambda phase, done, total: _tell({"phase": phase, "done": done, "total": total}))})
    except DanluError as error:
        _tell({"error": str(error), "exit_code": error.exit_code, "code": error.code, "facts": error.facts})
        return error.exit_code
    except OSError as error:
        _tell({"error": f"{error.filename or order.target}: {error.strerror or error}", "exit_code": 1})
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())

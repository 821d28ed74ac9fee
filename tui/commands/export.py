"""`danlu export`: a run's result as a folder that other tools load. The work is that of `engine.export`, a process of its own."""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from data.errors import DanluError
from engine.errors import EnvironmentFault
from engine.launch import PROJECT
from engine.run_directory import RunDirectory, open_run
from tui import amounts, output
from tui.commands.console import RUNS_DIR
from tui.gate import safe
from tui.progress_line import ProgressLine
from tui.summary import reference
from tui.texts import tr

MUCH = 0.05
"""Rounding beside the update that is worth a word."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=tr("cli.option.run"))
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help=tr("cli.export.option_out"))
    parser.add_argument("--checkpoint", metavar="STEP", type=int, help=tr("cli.export.option_checkpoint"))
    parser.add_argument("--adapter", action="store_true", help=tr("cli.export.option_adapter"))
    parser.add_argument("--dtype", choices=("auto", "bf16", "fp16", "fp32"), default="auto", help=tr("cli.export.option_dtype"))
    parser.add_argument("--force", action="store_true", help=tr("cli.export.option_force"))
    parser.add_argument("--json", action="store_true", help=tr("cli.option.json"))


def run(options: argparse.Namespace) -> int:
    """Print the folder when it is whole; what is to be known of it goes to stderr."""
    exported = open_run(options.runs_dir or RUNS_DIR, options.run)
    found = _export(exported, options)
    for line in _report(exported, found):
        output.narrate(line)
    if options.json:
        output.show_json(found)
    else:
        output.show(safe(found["path"]))
    return 0


def _export(exported: RunDirectory, options: argparse.Namespace) -> dict[str, Any]:
    """What the process tells at its end. Raises DanluError with its message and exit code."""
    command = [sys.executable, "-m", "engine.export", str(exported.path.absolute()), str(options.out.expanduser().absolute())]
    command += ["--dtype", options.dtype, *(f"--{name}" for name in ("adapter", "force") if getattr(options, name))]
    command += [] if options.checkpoint is None else ["--checkpoint", str(options.checkpoint)]
    # A session of its own, so that ctrl-c comes once, from here, and does not interrupt its tidying up.
    process = subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    progress = ProgressLine()
    try:
        return _follow(process, progress)
    finally:
        progress.close()
        process.terminate()
        process.wait()


def _follow(process: subprocess.Popen, progress: ProgressLine) -> dict[str, Any]:
    last = ""
    assert process.stdout is not None
    for line in process.stdout:
        told = _facts(line)
        if told is None:
            last = line.strip() or last
        elif "result" in told:
            return told["result"]
        elif "error" in told:
            error = DanluError(told["error"], told.get("code", ""), **told.get("facts", {}))
            error.exit_code = told["exit_code"]
            raise error
        else:
            progress.tell(told["done"], told["total"], tr(f"cli.export.{told['phase']}", total=told["total"]))
    raise EnvironmentFault(tr("cli.export.died", code=process.wait(), last=safe(last)))


def _facts(line: str) -> dict[str, Any] | None:
    """What the process tells in a line; None of anything else that libraries print."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _report(exported: RunDirectory, found: dict[str, Any]) -> list[str]:
    """What was made, how far rounding is off, and how it is loaded."""
    facts = {"name": safe(exported.name), "step": found["step"], "size": amounts.size(found["bytes"]), "dtype": found["dtype"]}
    path, quoted = safe(found["path"]), safe(shlex.quote(found["path"]))
    if not found["merged"]:
        onto = f'AutoModelForCausalLM.from_pretrained("{safe(found["loads_onto"])}")'
        lines = [tr("cli.export.adapter_done", **facts), f'  model = PeftModel.from_pretrained({onto}, "{path}")']
        return lines if found["hub_base"] else [*lines, tr("cli.export.base_is_here", base=safe(Path(found["base"]).name))]
    lines = [tr("cli.export.merged_done", merged=found["merged"], tensors=found["tensors"], **facts)]
    if found["quantization"] != "none":
        lines.append(tr("cli.export.quantized", kind=found["quantization"]))
    if found["shift"]["mean"] > MUCH:
        mean, most = amounts.share(found["shift"]["mean"]), amounts.share(found["shift"]["max"])
        lines.append(tr("cli.export.rounded", mean=mean, max=most, dtype=found["dtype"]))
    return [
        *lines, tr("cli.export.load"), f'  model = AutoModelForCausalLM.from_pretrained("{path}")',
        f'  tokenizer = AutoTokenizer.from_pretrained("{path}")', f"  vllm serve {quoted}",
        tr("cli.export.without", name=safe(reference(exported))),
    ]  # fmt: skip

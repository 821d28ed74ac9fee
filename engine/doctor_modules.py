"""Doctor's checks of software: Python, packages, torch, and Danlu's own modules at work on a small example."""

import importlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import tomli
from packaging.requirements import Requirement

from engine import model_source
from engine.check import Check
from engine.config import REFERENCE_MODEL, Model
from engine.config_file import BUNDLED_DATA
from engine.errors import EnvironmentFault
from engine.hardware import Machine
from engine.model_source import demo_file

OLDEST_PYTHON = (3, 10)
ENGINE_MODULES = ("config_file", "events", "queue", "run_directory", "launch", "hardware", "machine_file", "plan")
"""The entrances of the torch-free half; they load the rest of it."""
PROJECT_FILE = Path(__file__).resolve().parent.parent / "pyproject.toml"
TORCH_PATIENCE_S = 90.0
"""Importing torch from a cold disk takes most of a minute."""
TORCH_QUESTION = """
import json, torch
gpu = torch.cuda.is_available()
x = torch.ones(8, 8, device="cuda" if gpu else "cpu")
print(json.dumps([torch.__version__, torch.cuda.get_device_name() if gpu else "", float((x @ x).sum())]))
"""
SENTENCE, WORD = "国密算法包括分组密码", "分组密码"
TERMS_TEXT, TERMS = "依据GB/T 39786-2021，采用SM4-GCM加密", {"SM4-GCM", "GB/T 39786-2021"}


def python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Check(name="python", ok=True, detail=f"{version} at {sys.executable}")
    return Check(name="python", ok=False, detail=f"{version} is too old", cure="install Python 3.10 or newer and make a new environment")


def packages() -> Check:
    """Every required package at an allowed version, from metadata alone."""
    wanted = requirements()
    faults = [fault for requirement in wanted if (fault := _fault(requirement))]
    if not faults:
        return Check(name="packages", ok=True, detail=f"all {len(wanted)} required packages at supported versions")
    names = " ".join(f"'{requirement}'" for requirement in wanted if _fault(requirement))
    return Check(name="packages", ok=False, detail="; ".join(faults), cure=f"pip install {names}")


def requirements() -> list[Requirement]:
    """What Danlu needs, extras apart: from its installed metadata, else from the source tree."""
    try:
        lines = metadata.requires("danlu") or []
    except metadata.PackageNotFoundError:
        lines = tomli.loads(PROJECT_FILE.read_text(encoding="utf-8"))["project"]["dependencies"]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if requirement.marker is None or requirement.marker.evaluate({"extra": ""})]


def torch_works(machine: Machine) -> Check:
    """One small product on the device that would train, in a process of its own."""
    cure = "reinstall PyTorch: pip install --force-reinstall torch"
    try:
        asked = subprocess.run(
            [sys.executable, "-c", TORCH_QUESTION],
            capture_output=True, text=True, timeout=TORCH_PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        detail = f"PyTorch did not answer within {TORCH_PATIENCE_S:.0f} s"
        return Check(name="torch", ok=False, detail=detail, cure=f"try again; then {cure}")
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        return Check(name="torch", ok=False, detail=f"PyTorch does not work: {last}", cure=cure)
    version, gpu, _ = json.loads(asked.stdout.strip().splitlines()[-1])
    if gpu or machine.training_gpu is None:
        return Check(name="torch", ok=True, detail=f"PyTorch {version} computes on {gpu or 'the CPU'}")
    cure = "install a driver as new as PyTorch's CUDA, or a PyTorch built for this driver"
    return Check(name="torch", ok=False, detail=f"PyTorch {version} cannot use {machine.training_gpu.name}", cure=cure, required=False)


def quantization() -> Check:
    try:
        version = metadata.version("bitsandbytes")
    except metadata.PackageNotFoundError:
        detail = "bitsandbytes is not installed: no nf4, int8 or 8-bit AdamW (everything else works)"
        return Check(name="quantization", ok=False, detail=detail, cure="pip install bitsandbytes", required=False)
    return Check(name="quantization", ok=True, detail=f"bitsandbytes {version}: nf4 and int8 possible", required=False)


def modules() -> Check:
    """Every module of Danlu that needs no torch can be imported."""
    names = [f"data.{path.stem}" for path in sorted((PROJECT_FILE.parent / "data").glob("*.py")) if path.stem != "__init__"]
    names += [f"engine.{name}" for name in ENGINE_MODULES]
    faults = [fault for name in names if (fault := _import_fault(name))]
    if not faults:
        return Check(name="modules", ok=True, detail=f"all {len(names)} modules of the data and planning parts load")
    return Check(name="modules", ok=False, detail="; ".join(faults), cure="reinstall Danlu, or the package that is named")


def _import_fault(name: str) -> str:
    try:
        importlib.import_module(name)
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}"
    return ""


def data_model() -> Check:
    """A record becomes a conversation with reasoning and answer apart."""
    from data.formats import convert

    conversation, problems = convert({"instruction": "问", "input": "", "output": "<thinking>想</thinking>\n答"}, "alpaca")
    turn = conversation.turns[-1] if conversation else None
    if turn is not None and (turn.reasoning, turn.content) == ("想", "答") and conversation is not None and conversation.has_thinking:
        return Check(name="data_model", ok=True, detail="a record becomes question, reasoning and answer")
    return Check(name="data_model", ok=False, detail=f"a plain record became {turn!r}, {problems!r}", cure="reinstall Danlu")


def reference_model() -> Check:
    """Whether the reference model is on this machine; where it would come from is the hub's check."""
    found = model_source.local_folder(Model())
    if found is not None:
        return Check(name="model", ok=True, detail=f"{REFERENCE_MODEL} is at {found}", required=False)
    detail = f"{REFERENCE_MODEL} is not on this machine (the demo model needs nothing)"
    return Check(name="model", ok=False, detail=detail, cure=f"danlu fetch {REFERENCE_MODEL}", required=False)


def chinese() -> Check:
    from data.words import words

    found = words(SENTENCE)
    if "".join(found) == SENTENCE and WORD in found:
        return Check(name="chinese", ok=True, detail=f"segmentation works: {' / '.join(found)}")
    return Check(name="chinese", ok=False, detail=f"segmentation gave {found!r}", cure="pip install --force-reinstall rjieba")


def terms() -> Check:
    from data.terms import find_terms

    found = {term.text for term in find_terms(TERMS_TEXT)}
    if found >= TERMS:
        return Check(name="terms", ok=True, detail=f"recognised: {', '.join(sorted(found))}")
    return Check(name="terms", ok=False, detail=f"not recognised: {', '.join(sorted(TERMS - found))}", cure="reinstall Danlu")


def thinking() -> Check:
    from data.thinking import split_thinking

    split = split_thinking("<thinking>先分解n</thinking>\n答案是5")
    if (split.reasoning, split.answer) == ("先分解n", "答案是5"):
        return Check(name="thinking", ok=True, detail="<think> and <thinking> are understood")
    return Check(name="thinking", ok=False, detail=f"a <thinking> block was split into {split!r}", cure="reinstall Danlu")


def bundled_data() -> Check:
    from data.reading import read_file

    if not BUNDLED_DATA.is_file():
        return Check(name="bundled_data", ok=False, detail=f"{BUNDLED_DATA} is missing", cure="reinstall Danlu")
    dataset = read_file(BUNDLED_DATA)
    detail = f"{len(dataset.records)} records" + (f", {len(dataset.faults)} faults" if dataset.faults else "")
    whole = bool(dataset.records) and all(record.conversation for record in dataset.records)
    return Check(name="bundled_data", ok=whole, detail=detail, cure="" if whole else "reinstall Danlu")


def demo_model() -> Check:
    try:
        path = demo_file()
    except EnvironmentFault as error:
        cause, _, cure = str(error).partition("; ")
        return Check(name="demo_model", ok=False, detail=cause, cure=cure, required=False)
    return Check(name="demo_model", ok=True, detail=f"{path.name}, {path.stat().st_size / 2**20:.0f} MiB", required=False)


def _fault(requirement: Requirement) -> str:
    """What is wrong with an installed package, '' if nothing."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    fine = requirement.specifier.contains(version, prereleases=True)
    return "" if fine else f"{requirement.name} {version} is not {requirement.specifier}"

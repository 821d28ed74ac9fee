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
from engine.check import Check, Finding, found
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
    is_old = sys.version_info < OLDEST_PYTHON
    finding = found("python_old", version=version) if is_old else found("python_fine", version=version, executable=sys.executable)
    return Check(name="python", findings=[finding])


def packages() -> Check:
    """Every required package at an allowed version, from metadata alone."""
    wanted = requirements()
    lacking = [requirement for requirement in wanted if not _is_met(requirement)]
    command = "pip install " + " ".join(f"'{requirement}'" for requirement in lacking)
    faults = [_package_fault(requirement, command) for requirement in lacking]
    return Check(name="packages", findings=faults or [found("packages_fine", count=len(wanted))])


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
    try:
        asked = subprocess.run(
            [sys.executable, "-c", TORCH_QUESTION],
            capture_output=True, text=True, timeout=TORCH_PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Check(name="torch", findings=[found("torch_silent", seconds=TORCH_PATIENCE_S)])
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        return Check(name="torch", findings=[found("torch_broken", error=last)])
    version, gpu, _ = json.loads(asked.stdout.strip().splitlines()[-1])
    if gpu:
        return Check(name="torch", findings=[found("torch_on_gpu", version=version, gpu=gpu)])
    if machine.training_gpu is None:
        return Check(name="torch", findings=[found("torch_on_cpu", version=version)])
    return Check(name="torch", findings=[found("torch_without_gpu", version=version, gpu=machine.training_gpu.name)], required=False)


def quantization() -> Check:
    version = _version(Requirement("bitsandbytes"))
    finding = found("quantization_fine", version=version) if version else found("quantization_missing")
    return Check(name="quantization", findings=[finding], required=False)


def modules() -> Check:
    """Every module of Danlu that needs no torch can be imported."""
    names = [f"data.{path.stem}" for path in sorted((PROJECT_FILE.parent / "data").glob("*.py")) if path.stem != "__init__"]
    names += [f"engine.{name}" for name in ENGINE_MODULES]
    faults = [fault for name in names if (fault := _import_fault(name))]
    return Check(name="modules", findings=faults or [found("modules_fine", count=len(names))])


def _import_fault(name: str) -> Finding | None:
    try:
        importlib.import_module(name)
    except Exception as error:
        return found("module_broken", name=name, error=f"{type(error).__name__}: {error}")
    return None


def data_model() -> Check:
    """A record becomes a conversation with reasoning and answer apart."""
    from data.formats import convert

    conversation, problems = convert({"instruction": "问", "input": "", "output": "<thinking>想</thinking>\n答"}, "alpaca")
    turn = conversation.turns[-1] if conversation else None
    is_right = turn is not None and (turn.reasoning, turn.content) == ("想", "答")
    finding = found("data_model_fine") if is_right else found("data_model_broken", turn=repr(turn), problems=repr(problems))
    return Check(name="data_model", findings=[finding])


def reference_model() -> Check:
    """Whether the reference model is on this machine; where it would come from is the hub's check."""
    folder = model_source.local_folder(Model())
    here = found("model_here", model=REFERENCE_MODEL, folder=str(folder))
    return Check(name="model", findings=[here if folder else found("model_not_here", model=REFERENCE_MODEL)], required=False)


def chinese() -> Check:
    from data.words import words

    cut = words(SENTENCE)
    is_right = "".join(cut) == SENTENCE and WORD in cut
    return Check(name="chinese", findings=[found("chinese_fine" if is_right else "chinese_broken", words=" / ".join(cut))])


def terms() -> Check:
    from data.terms import find_terms

    missed = TERMS - {term.text for term in find_terms(TERMS_TEXT)}
    finding = found("terms_broken", terms=", ".join(sorted(missed))) if missed else found("terms_fine", terms=", ".join(sorted(TERMS)))
    return Check(name="terms", findings=[finding])


def thinking() -> Check:
    from data.thinking import split_thinking

    split = split_thinking("<thinking>先分解n</thinking>\n答案是5")
    is_right = (split.reasoning, split.answer) == ("先分解n", "答案是5")
    return Check(name="thinking", findings=[found("thinking_fine") if is_right else found("thinking_broken", split=repr(split))])


def bundled_data() -> Check:
    from data.reading import read_file

    if not BUNDLED_DATA.is_file():
        return Check(name="bundled_data", findings=[found("bundled_data_missing", path=str(BUNDLED_DATA))])
    dataset = read_file(BUNDLED_DATA)
    records, faults = len(dataset.records), len(dataset.faults)
    if records and all(record.conversation for record in dataset.records):
        return Check(name="bundled_data", findings=[found("bundled_data_fine", records=records)])
    return Check(name="bundled_data", findings=[found("bundled_data_broken", records=records, faults=faults)])


def demo_model() -> Check:
    try:
        path = demo_file()
    except EnvironmentFault:
        return Check(name="demo_model", findings=[found("demo_model_missing")], required=False)
    finding = found("demo_model_fine", file=path.name, mib=path.stat().st_size / 2**20)
    return Check(name="demo_model", findings=[finding], required=False)


def _is_met(requirement: Requirement) -> bool:
    version = _version(requirement)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _package_fault(requirement: Requirement, command: str) -> Finding:
    """command: installs this one and all others that are lacking."""
    if (version := _version(requirement)) is None:
        return found("package_missing", name=requirement.name, command=command)
    return found("package_version", name=requirement.name, version=version, wanted=str(requirement.specifier), command=command)


def _version(requirement: Requirement) -> str | None:
    """Of the installed package, None where there is none."""
    try:
        return metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return None

"""Checks of everything a run needs, each with its cure. Reports; repairs nothing, raises nothing.

The checks of the machine are in `doctor_machine`, those of packages and Danlu's own modules in `doctor_modules`. torch is asked in a
process of its own, so that the caller stays light and a broken installation can't take it along.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from engine import doctor_machine, doctor_modules
from engine.check import Check, found
from engine.hardware import Machine, detect


def run_checks(run_folder: Path = Path("runs"), quick: bool = False, measure: bool = False) -> list[Check]:
    """All checks in the order a person would go through them.

    quick: leave out what takes seconds (asking torch, reaching the hub).  measure: run the benchmark too.
    """
    machine = detect(run_folder)
    checks = [*_checks(machine, run_folder, quick), *_measurements(run_folder, measure)]
    return [_guarded(name, check) for name, check in checks]


def _checks(machine: Machine, run_folder: Path, quick: bool) -> Iterator[tuple[str, Callable[[], Check]]]:
    yield "python", doctor_modules.python
    yield "packages", doctor_modules.packages
    yield "modules", doctor_modules.modules
    yield "driver", lambda: doctor_machine.driver(machine)
    yield "gpu", lambda: doctor_machine.gpu(machine)
    if machine.links:
        yield "gpu_links", lambda: doctor_machine.gpu_links(machine)
    if machine.gpus:
        yield "gpu_health", lambda: doctor_machine.gpu_health(machine)
        yield "gpu_programs", lambda: doctor_machine.gpu_programs(machine)
    if machine.others:
        yield "other_accelerators", lambda: doctor_machine.other_accelerators(machine)
    if not quick:
        yield "torch", lambda: doctor_modules.torch_works(machine)
    yield "quantization", doctor_modules.quantization
    yield "memory", lambda: doctor_machine.memory(machine)
    yield "disk", lambda: doctor_machine.disk(machine)
    yield "run_folder", lambda: doctor_machine.run_folder(run_folder)
    yield "cache_folder", doctor_machine.cache_folder
    yield "data_model", doctor_modules.data_model
    yield "chinese", doctor_modules.chinese
    yield "terms", doctor_modules.terms
    yield "thinking", doctor_modules.thinking
    yield "bundled_data", doctor_modules.bundled_data
    yield "demo_model", doctor_modules.demo_model
    yield "model", doctor_modules.reference_model
    yield "hub", lambda: doctor_machine.hub(reach=not quick)
    yield "terminal", doctor_machine.terminal
    yield "logout", doctor_machine.logout_ends_runs


def _measurements(run_folder: Path, measure: bool) -> Iterator[tuple[str, Callable[[], Check]]]:
    if measure:
        yield "benchmark", lambda: doctor_machine.speed(run_folder)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check's answer; one that breaks down is a finding itself, and the others still run."""
    try:
        return check()
    except Exception as error:
        return Check(name=name, findings=[found("check_broken", error=f"{type(error).__name__}: {error}")])

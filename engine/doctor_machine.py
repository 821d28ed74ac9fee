"""Doctor's checks of the machine: driver, GPU, memory, disk, folders, network, terminal."""

import locale
import os
import sys
import tempfile
import urllib.error
import urllib.request
from itertools import groupby
from pathlib import Path

from data.user_folders import state_folder
from engine import benchmark, logout, model_source
from engine.check import Check, Finding, found
from engine.hardware import Machine
from engine.nvidia import Gpu

LITTLE_MEMORY_GIB = 4.0
"""The demo peaks near 2 GiB; nothing useful trains with less than this."""
LITTLE_DISK_GIB = 5.0
"""A few checkpoints with their optimiser, and one converted model."""
HUB = "https://huggingface.co"
PATIENCE_S = 4.0
BUSY_GIB = 1.0
"""GPU memory of another program that is worth a word."""
DRIVER_PROBLEMS = {
    "no NVIDIA driver": "driver_none",
    "not loaded": "driver_not_loaded",
    "not restarted": "driver_updated",
    "may not talk": "driver_forbidden",
    "no GPU": "driver_shows_nothing",
}
GPU_PROBLEMS = {"fallen off": "gpu_lost", "needs a reset": "gpu_needs_reset", "not cut": "gpu_uncut"}
"""What `engine.nvidia` says of them → code."""
LINKS = {
    "nvlink": "gpu_links_nvlink", "board": "gpu_links_board", "switch": "gpu_links_switch", "bridge": "gpu_links_bridge",
    "cpu": "gpu_links_cpu", "sockets": "gpu_links_sockets", "unknown": "gpu_links_unknown",
}  # fmt: skip
PAIRS_NAMED = 6


def driver(machine: Machine) -> Check:
    version, problem = machine.driver.version, machine.driver.problem
    findings = [found("driver_fine", version=version, cuda=machine.driver.cuda or "?")] if version else []
    if problem:
        code = next((code for sign, code in DRIVER_PROBLEMS.items() if sign in problem), None)
        findings.append(found(code) if code else found("driver_in_trouble", problem=problem))
    return Check(name="driver", findings=findings, required=False)


def gpu(machine: Machine) -> Check:
    return Check(name="gpu", findings=_gpus(machine), required=False)


def _gpus(machine: Machine) -> list[Finding]:
    if not machine.gpus:
        return [found("gpu_none", cpu=machine.cpu.name)]
    told = [_alike(list(group)) for _, group in groupby(machine.gpus, key=_facts_alike)]
    if all(gpu.problem for gpu in machine.gpus):
        return told
    if machine.torch_is_cpu_only:
        return [*told, found("gpu_torch_without_cuda")]
    return told if machine.visible else [*told, found("gpu_hidden")]


def _facts_alike(gpu: Gpu) -> tuple:
    """Equal for cards that are told together; a broken one is told alone."""
    return (gpu.index, gpu.problem) if gpu.problem else (gpu.name, gpu.compute_capability, gpu.vram_total_gib)


def _alike(gpus: list[Gpu]) -> Finding:
    gpu = gpus[0]
    if gpu.problem:
        return _gpu_problem(gpu)
    capability = "{}.{}".format(*gpu.compute_capability) if gpu.compute_capability else "?"
    types = ", ".join(["fp16", *["bf16"] * gpu.has_bf16, *["fp8"] * gpu.has_fp8])
    facts = {"index": gpu.index, "gpu": gpu.name, "capability": capability, "types": types, "total_gib": gpu.vram_total_gib or 0}
    free = [each.vram_free_gib or 0 for each in gpus]
    if len(gpus) == 1:
        return found("gpu_free", free_gib=free[0], **facts)
    return found("gpus_free", last=gpus[-1].index, least_gib=min(free), most_gib=max(free), **facts)


def _gpu_problem(gpu: Gpu) -> Finding:
    code = next((code for sign, code in GPU_PROBLEMS.items() if sign in gpu.problem), None)
    return found(code, gpu=gpu.name) if code else found("gpu_in_trouble", gpu=gpu.name, problem=gpu.problem)


def gpu_links(machine: Machine) -> Check:
    """What joins the GPUs, and whether they read each other's memory."""
    alike: dict[tuple[str, int], list[str]] = {}
    for link in machine.links:
        alike.setdefault((link.kind, link.nvlinks), []).append(f"{link.first}-{link.second}")
    if len(alike) == 1:
        everyone = sorted({gpu for link in machine.links for gpu in (link.first, link.second)})
        alike = {kind: [", ".join(map(str, everyone))] for kind in alike}
    findings = [found(LINKS[kind], between=_between(pairs), nvlinks=nvlinks) for (kind, nvlinks), pairs in alike.items()]
    peers = {link.p2p for link in machine.links}
    if peers != {None}:
        findings.append(found("gpu_peers_all" if peers == {True} else "gpu_peers_some" if True in peers else "gpu_peers_none"))
    return Check(name="gpu_links", findings=findings, required=False)


def _between(pairs: list[str]) -> str:
    named = ", ".join(pairs[:PAIRS_NAMED])
    return f"GPU {named}" if len(pairs) <= PAIRS_NAMED else f"GPU {named} … ({len(pairs)})"


def gpu_health(machine: Machine) -> Check:
    """Memory errors, heat and limits, and cards cut into MIG devices."""
    findings = []
    for gpu in machine.gpus:
        if gpu.ecc_errors:
            findings.append(found("gpu_memory_errors", index=gpu.index, count=gpu.ecc_errors))
        findings += [found(f"gpu_throttled_{why.replace(' ', '_')}", index=gpu.index) for why in gpu.throttled]
        if gpu.mig_devices:
            code = "gpu_mig_named" if os.environ.get("CUDA_VISIBLE_DEVICES", "").startswith("MIG-") else "gpu_mig"
            findings.append(found(code, index=gpu.index, devices=len(gpu.mig_devices)))
    return Check(name="gpu_health", findings=findings or [found("gpu_health_fine")], required=False)


def gpu_programs(machine: Machine) -> Check:
    """Who holds GPU memory."""
    findings = []
    for gpu in machine.gpus:
        for program in gpu.processes:
            if (program.used_gib or 0.0) >= BUSY_GIB:
                facts = {"index": gpu.index, "pid": program.pid, "used_gib": program.used_gib}
                named = found("gpu_program", program=program.name, **facts)
                findings.append(named if program.name else found("gpu_program_nameless", **facts))
    return Check(name="gpu_programs", findings=findings or [found("gpu_programs_none")], required=False)


def other_accelerators(machine: Machine) -> Check:
    code = "accelerators_beside_gpu" if machine.training_gpu else "accelerators_beside_cpu"
    return Check(name="other_accelerators", findings=[found(code, names=", ".join(machine.others))], required=False)


def speed(run_folder: Path) -> Check:
    """The measured benchmark, remembered for plans and the Hardware screen."""
    measured = benchmark.measure(run_folder)
    benchmark.remember(state_folder(), measured)
    findings = [found("measured_device", device=measured.device)] if measured.device else []
    findings += [found("product_rate", precision=precision, gflops=rate) for precision, rate in measured.gflops.items()]
    if measured.memory_gbs:
        findings.append(found("memory_rate", gbs=measured.memory_gbs))
    if measured.disk_write_mbs and measured.disk_read_mbs:
        findings.append(found("disk_rate", written_mbs=measured.disk_write_mbs, read_mbs=measured.disk_read_mbs))
    if measured.problem:
        findings.append(found("product_rate_unknown", error=measured.problem))
    return Check(name="benchmark", findings=findings, required=False)


def memory(machine: Machine) -> Check:
    seen = machine.memory
    facts = {"available_gib": seen.available_gib, "total_gib": seen.total_gib}
    is_low = seen.available_gib < LITTLE_MEMORY_GIB
    findings = [found("memory_low", least_gib=LITTLE_MEMORY_GIB, **facts) if is_low else found("memory_free", **facts)]
    findings += [found("memory_limited", limit_gib=seen.limit_gib)] if seen.limit_gib else []
    return Check(name="memory", findings=findings, required=False)


def disk(machine: Machine) -> Check:
    seen = machine.disk
    facts = {"free_gib": seen.free_gib, "total_gib": seen.total_gib, "folder": str(seen.folder)}
    is_low = seen.free_gib < LITTLE_DISK_GIB
    finding = found("disk_low", least_gib=LITTLE_DISK_GIB, **facts) if is_low else found("disk_free", **facts)
    return Check(name="disk", findings=[finding], required=False)


def run_folder(folder: Path) -> Check:
    return _writable("run_folder", folder)


def cache_folder() -> Check:
    return _writable("cache_folder", model_source.cache_folder())


def hub(reach: bool) -> Check:
    """Where models come from; `reach` asks it once with a short timeout. Being offline is advice, not a failure."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return Check(name="hub", findings=[found("hub_offline")], required=False)
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    findings = [_hub_at(endpoint, reach)]
    findings += [found("hub_as_configured")] if os.environ.get("HF_ENDPOINT") else []
    return Check(name="hub", findings=findings, required=False)


def _hub_at(endpoint: str, reach: bool) -> Finding:
    if not reach:
        return found("hub_not_asked", endpoint=endpoint)
    problem = _reach(endpoint)
    return found("hub_out_of_reach", endpoint=endpoint, error=problem) if problem else found("hub_answers", endpoint=endpoint)


def terminal() -> Check:
    """Encoding and colours, of this process's own terminal."""
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).upper().replace("-", "")
    name = os.environ.get("TERM", "")
    if encoding != "UTF8":
        finding = found("terminal_encoding", encoding=encoding)
    elif name in {"", "dumb"} and sys.stdout.isatty():
        finding = found("terminal_unknown", term=name or "''")
    else:
        finding = found("terminal_no_colours" if os.environ.get("NO_COLOR") else _colours(name))
    return Check(name="terminal", findings=[finding], required=False)


def logout_ends_runs() -> Check:
    codes = {"": "logout_survived", "session": "logout_ends_session", "linger": "logout_ends_last_session"}
    return Check(name="logout", findings=[found(codes[logout.ending()])], required=False)


def _writable(name: str, folder: Path) -> Check:
    """Tries it in the nearest folder that exists, as permissions and read-only mounts are not told by bits alone."""
    place = next((parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(name=name, findings=[found(f"{name}_read_only", folder=str(place), error=error.strerror or type(error).__name__)])
    return Check(name=name, findings=[found("folder_fine", folder=str(folder))])


def _reach(endpoint: str) -> str:
    """'' if `endpoint` answers in any way, else why not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=PATIENCE_S):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def _colours(term: str) -> str:
    if os.environ.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "terminal_true_colour"
    return "terminal_256_colours" if "256" in term else "terminal_basic_colours"

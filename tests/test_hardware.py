"""The machine as it is reported: containers, hidden and lost GPUs, missing drivers; never an exception."""

from types import SimpleNamespace

import pynvml
import pytest

from engine import host, nvidia
from engine.hardware import LoadSampler, detect, visible_gpus
from tests.machines import gpu, machine

GIB = 2**30


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def handle_of(index):
    return SimpleNamespace(index=index)


@pytest.fixture
def driver(monkeypatch):
    """A driver with two GPUs; the test changes its answers. NVML is C and needs a GPU, so its functions are replaced."""
    answers = {
        "nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetCount": lambda: 2,
        "nvmlSystemGetDriverVersion": lambda: "580.10", "nvmlSystemGetCudaDriverVersion_v2": lambda: 13000,
        "nvmlDeviceGetHandleByIndex": handle_of, "nvmlDeviceGetName": lambda handle: "NVIDIA GeForce RTX 4090",
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle.index}",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=24 * GIB, free=20 * GIB, used=4 * GIB),
        "nvmlDeviceGetCudaComputeCapability": lambda handle: (8, 9),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37),
        "nvmlDeviceGetTemperature": lambda handle, kind: 61, "nvmlDeviceGetPowerUsage": lambda handle: 212_000,
        "nvmlDeviceGetMaxPcieLinkGeneration": lambda handle: 4, "nvmlDeviceGetMaxPcieLinkWidth": lambda handle: 16,
        "nvmlDeviceGetMigMode": refuse(pynvml.NVML_ERROR_NOT_SUPPORTED),
        "nvmlDeviceGetNvLinkState": refuse(pynvml.NVML_ERROR_NOT_SUPPORTED),
    }  # fmt: skip

    def change(**changed):
        for name, answer in changed.items():
            monkeypatch.setattr(pynvml, name, answer)

    change(**answers)
    return change


def refuse(code):
    """An NVML function that answers with an error."""

    def function(*arguments):
        raise pynvml.NVMLError(code)

    return function


def test_this_machine_is_told_whole():
    """Whatever runs the tests has a CPU, memory, a disk and versions."""
    found = detect()

    assert found.cpu.name and found.cpu.cores >= 1 and found.memory.available_gib > 0
    assert found.disk.total_gib > 0 and found.versions["python"]
    assert found.gemm_gflops is None


def test_the_matrix_rate_is_measured_on_request():
    """A positive rate, from a short product."""
    assert host.measure_gemm(budget_s=0.01, size=64) > 0


def test_the_load_names_this_process():
    """rss_gib is the caller's own resident memory."""
    load = LoadSampler().sample()

    assert 0.01 < load.rss_gib < load.memory_total_gib and load.cpu_percent >= 0


def test_gpus_are_told_as_the_driver_tells_them(driver):
    """Memory, capability and links; what a GPU does not support is left open."""
    told, (first, second) = nvidia.read_gpus()

    assert (told.version, told.cuda, told.problem) == ("580.10", "13.0", "")
    assert (first.index, second.index) == (0, 1) and first.has_bf16
    assert (first.vram_total_gib, first.vram_free_gib, first.pcie_generation, first.nvlinks, first.mig) == (24.0, 20.0, 4, 0, False)


def test_the_load_of_gpus_is_told(driver):
    """Utilisation, temperature, and power in watts."""
    load = nvidia.read_loads()[0]

    assert (load.vram_used_gib, load.utilisation, load.temperature_c, load.power_w) == (4.0, 37.0, 61.0, 212.0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "may not talk"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "not restarted"),
        (pynvml.NVML_ERROR_UNKNOWN, "does not answer"),
    ],
)  # fmt: skip
def test_a_driver_that_gives_nothing_is_a_finding(driver, code, words):
    """Neither facts nor load raise; the reason is one sentence."""
    driver(nvmlInit=refuse(code))
    told, gpus = nvidia.read_gpus()

    assert words in told.problem and gpus == () and nvidia.read_loads() == []


def test_a_lost_gpu_is_told_and_the_other_still_works(driver):
    """One GPU off the bus takes neither the report nor its neighbour along."""

    def memory(handle):
        if handle.index == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return SimpleNamespace(total=24 * GIB, free=20 * GIB, used=4 * GIB)

    driver(nvmlDeviceGetMemoryInfo=memory)
    lost, well = nvidia.read_gpus()[1]

    assert "fallen off the bus" in lost.problem and not well.problem
    assert len(nvidia.read_loads()) == 1
    assert machine(lost, well).training_gpu == well


def test_a_gpu_keeps_quiet_about_what_it_does_not_measure(driver):
    """No power meter, no temperature: None, not zero."""
    unsupported, forbidden = refuse(pynvml.NVML_ERROR_NOT_SUPPORTED), refuse(pynvml.NVML_ERROR_NO_PERMISSION)
    driver(nvmlDeviceGetPowerUsage=unsupported, nvmlDeviceGetTemperature=forbidden)
    load = nvidia.read_loads()[0]

    assert load.power_w is None and load.temperature_c is None


@pytest.mark.parametrize(
    ("listed", "order", "visible"),
    [
        (None, "PCI_BUS_ID", (0, 1, 2)),
        (None, "", (1, 2, 0)),
        ("0", "", (1,)),
        ("2,0", "PCI_BUS_ID", (2, 0)),
        ("", "", ()),
        ("-1", "", ()),
        ("1,9,0", "PCI_BUS_ID", (1,)),
        ("GPU-bb", "", (1,)),
    ],
)  # fmt: skip
def test_visible_gpus_follow_cudas_rules(listed, order, visible):
    """Fastest first unless told otherwise, and a list ends at its first unknown entry."""
    gpus = (gpu(index=0, capability=(7, 5), uuid="GPU-aa"), gpu(index=1, capability=(9, 0), uuid="GPU-bb"), gpu(index=2, uuid="GPU-cc"))

    assert visible_gpus(gpus, listed, order) == visible


def test_a_container_limit_counts_without_reclaimable_cache(tmp_path):
    """cgroup v2: limit less use, plus file cache the kernel gives back."""
    write(tmp_path / "self", "0::/box\n")
    write(tmp_path / "cg/box/memory.max", str(GIB // 4))
    write(tmp_path / "cg/box/memory.current", str(GIB // 8))
    write(tmp_path / "cg/box/memory.stat", f"anon 1\ninactive_file {GIB // 16}\n")
    found = host.read_memory(tmp_path / "cg", tmp_path / "self")

    assert (found.total_gib, found.limit_gib, found.available_gib) == (0.25, 0.25, 0.25 - 0.125 + 0.0625)


def test_the_tightest_limit_of_all_parents_counts(tmp_path):
    """A pod's limit binds a container that has none of its own."""
    write(tmp_path / "self", "0::/pod/box\n")
    write(tmp_path / "cg/pod/memory.max", str(GIB // 4))
    write(tmp_path / "cg/pod/box/memory.max", "max")

    assert host.read_memory(tmp_path / "cg", tmp_path / "self").limit_gib == 0.25


def test_cgroup_v1_limits_count_and_its_unlimited_does_not(tmp_path):
    """v1 writes no limit as a huge number, and names its controller in the path."""
    write(tmp_path / "self", "4:memory:/box\n3:cpu,cpuacct:/box\n")
    write(tmp_path / "cg/memory/box/memory.limit_in_bytes", str(GIB // 4))
    write(tmp_path / "cg/memory/memory.limit_in_bytes", str(2**63 - 4096))

    assert host.read_memory(tmp_path / "cg", tmp_path / "self").limit_gib == 0.25


def test_a_machine_without_limits_has_none(tmp_path):
    """No cgroup files at all: the machine's own memory."""
    found = host.read_memory(tmp_path / "none", tmp_path / "nothing")

    assert found.limit_gib is None and found.total_gib > 0


def test_a_cpu_quota_is_read(tmp_path):
    """150 ms in every 100 ms are one and a half CPUs; max is none."""
    write(tmp_path / "self", "0::/box\n")
    write(tmp_path / "cg/cpu.max", "max 100000")
    write(tmp_path / "cg/box/cpu.max", "150000 100000")

    assert host.cpu_quota(tmp_path / "cg", tmp_path / "self") == 1.5
    assert host.cpu_quota(tmp_path / "none", tmp_path / "self") is None


def test_disk_is_that_of_the_folder_to_be_made(tmp_path):
    """A run folder that does not exist yet lies on its parent's disk."""
    assert host.read_disk(tmp_path / "runs" / "new").total_gib == host.read_disk(tmp_path).total_gib > 0

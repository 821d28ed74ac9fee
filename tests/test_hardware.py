"""The machine as it is reported: containers, hidden and lost GPUs, missing drivers; never an exception."""

from types import SimpleNamespace

import pynvml
import pytest

from engine import accelerators, benchmark, host, nvidia, nvidia_links
from engine.hardware import LoadSampler, detect, visible_gpus
from engine.topology import Link
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


def test_the_matrix_rate_is_of_all_cores():
    """Between a tenth of a GFLOP/s and the most that any core could do, for each core that may be used."""
    cpu = host.read_cpu()

    assert 0.1 < host.measure_gemm() / min(cpu.cores, cpu.threads) < 1_000


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


def test_a_gpu_is_told_in_full(driver):
    """ECC, limits, clocks, why they are held down, NUMA node, and who holds its memory."""
    driver(
        nvmlDeviceGetEccMode=lambda handle: [1, 1], nvmlDeviceGetTotalEccErrors=lambda handle, kind, counter: 3,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 450_000, nvmlDeviceGetNumaNodeId=lambda handle: 1,
        nvmlDeviceGetClockInfo=lambda handle, kind: 2100, nvmlDeviceGetMaxClockInfo=lambda handle, kind: 2520,
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonGpuIdle,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [SimpleNamespace(pid=7, usedGpuMemory=None),
                                                             SimpleNamespace(pid=8, usedGpuMemory=3 * GIB)],
        nvmlSystemGetProcessName=lambda pid: "/usr/bin/python3" if pid == 8 else refuse(pynvml.NVML_ERROR_NO_PERMISSION)(),
    )  # fmt: skip
    told = nvidia.read_gpus()[1][0]

    assert (told.ecc, told.ecc_errors, told.mig, told.mig_devices) == (True, 3, False, ())
    assert (told.power_limit_w, told.clock_mhz, told.clock_max_mhz, told.throttled) == (450.0, 2100, 2520, ("power limit",))
    assert (told.numa_node, told.has_fp8) == (1, True)
    assert told.processes == (nvidia.GpuProcess(8, "python3", 3.0), nvidia.GpuProcess(7, "", None))


def cut(index, parts):
    """A driver whose cards are cut by MIG into `parts`: (UUID, GiB)."""

    def handle(card, number):
        return SimpleNamespace(part=number) if number < len(parts) else refuse(pynvml.NVML_ERROR_NOT_FOUND)()

    def memory(card):
        size = parts[card.part][1] * GIB if hasattr(card, "part") else 40 * GIB
        return SimpleNamespace(total=size, free=size - GIB, used=GIB)

    return {
        "nvmlDeviceGetCount": lambda: 1, "nvmlDeviceGetMigMode": lambda card: [1, 1], "nvmlDeviceGetMaxMigDeviceCount": lambda card: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": handle, "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetUUID": lambda card: parts[card.part][0] if hasattr(card, "part") else f"GPU-{index}",
    }  # fmt: skip


@pytest.mark.parametrize(("listed", "total"), [(None, 20.0), ("MIG-bb", 10.0), ("0", 20.0)])
def test_a_card_cut_by_mig_has_the_memory_of_the_part_a_run_gets(driver, monkeypatch, listed, total):
    """CUDA gives a process one part, the first unless another is named; what the whole card has is nobody's."""
    driver(**cut(0, [("MIG-aa", 20), ("MIG-bb", 10)]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    found = detect()

    assert (found.visible, found.gpus[0].vram_total_gib, found.gpus[0].vram_free_gib) == ((0,), total, total - 1)


def test_a_card_with_mig_on_and_no_part_cannot_be_used(driver):
    """CUDA shows nothing of it."""
    driver(**cut(0, []))
    (card,) = nvidia.read_gpus()[1]

    assert "not cut" in card.problem and machine(card).training_gpu is None


def test_a_gpu_that_shares_the_hosts_memory_has_that(driver):
    """The driver of a GB10 tells of no memory of its own."""
    driver(nvmlDeviceGetMemoryInfo=refuse(pynvml.NVML_ERROR_NOT_SUPPORTED))
    told, memory = nvidia.read_gpus()[1][0], host.read_memory()

    assert not told.problem and told.vram_total_gib == memory.total_gib
    assert nvidia.read_loads()[0].vram_total_gib == memory.total_gib


def bus_of(index):
    return SimpleNamespace(busId=f"00000000:0{index}:00.0".encode())


def test_nvlinks_between_two_cards_are_counted(driver):
    """Four active links of each lead to the other; a link that is down does not count."""
    driver(
        nvmlDeviceGetNvLinkState=lambda handle, link: pynvml.NVML_FEATURE_ENABLED if link < 4 else pynvml.NVML_FEATURE_DISABLED,
        nvmlDeviceGetNvLinkRemotePciInfo=lambda handle, link: bus_of(1 - handle.index),
        nvmlDeviceGetNvLinkRemoteDeviceType=lambda handle, link: pynvml.NVML_NVLINK_DEVICE_TYPE_GPU,
        nvmlDeviceGetPciInfo=lambda handle: bus_of(handle.index),
        nvmlDeviceGetP2PStatus=lambda one, other, kind: pynvml.NVML_P2P_STATUS_OK,
    )  # fmt: skip

    assert nvidia_links.read_links((0, 1)) == (Link(first=0, second=1, kind="nvlink", nvlinks=4, p2p=True),)


def test_a_switch_joins_all_links(driver):
    """Behind NVSwitch every pair has all eighteen."""
    driver(
        nvmlDeviceGetNvLinkState=lambda handle, link: pynvml.NVML_FEATURE_ENABLED,
        nvmlDeviceGetNvLinkRemotePciInfo=lambda handle, link: SimpleNamespace(busId=b"00000000:C1:00.0"),
        nvmlDeviceGetNvLinkRemoteDeviceType=lambda handle, link: pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH,
        nvmlDeviceGetPciInfo=lambda handle: bus_of(handle.index), nvmlDeviceGetP2PStatus=refuse(pynvml.NVML_ERROR_NOT_SUPPORTED),
    )  # fmt: skip
    (link,) = nvidia_links.read_links((0, 1))

    assert (link.kind, link.nvlinks, link.p2p) == ("nvlink", 18, None)


@pytest.mark.parametrize(
    ("level", "kind"),
    [(pynvml.NVML_TOPOLOGY_SINGLE, "switch"), (pynvml.NVML_TOPOLOGY_NODE, "cpu"), (pynvml.NVML_TOPOLOGY_SYSTEM, "sockets")],
)
def test_cards_without_nvlink_are_joined_over_pcie(driver, level, kind):
    """The nearest point both are connected to."""
    driver(nvmlDeviceGetTopologyCommonAncestor=lambda one, other: level,
           nvmlDeviceGetP2PStatus=lambda one, other, what: pynvml.NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED)  # fmt: skip

    assert nvidia_links.read_links((0, 1)) == (Link(first=0, second=1, kind=kind, p2p=False),)


def test_links_of_a_silent_driver_are_unknown_and_of_one_card_none(driver):
    """Nothing raises."""
    assert nvidia_links.read_links((0, 1))[0].kind == "unknown"
    assert nvidia_links.read_links((0,)) == ()
    driver(nvmlInit=refuse(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    assert nvidia_links.read_links((0, 1)) == ()


def test_cards_of_other_makers_are_named_and_small_ones_ignored(tmp_path):
    """An AMD card by its name; a processor's own graphics is no accelerator."""
    for card, vendor, size in (("card0", "0x1002", 24 * GIB), ("card1", "0x8086", 0), ("card2", "0x10de", 24 * GIB)):
        for name, text in (("vendor", vendor), ("class", "0x030000"), ("mem_info_vram_total", str(size)), ("product_name", "Radeon X")):
            write(tmp_path / card / "device" / name, text + "\n")

    assert accelerators.read_others(tmp_path, "Linux", "x86_64") == ("AMD Radeon X (24 GiB)",)
    assert accelerators.read_others(tmp_path, "Darwin", "arm64") == ("Apple GPU (Metal)",)


def test_numa_nodes_are_read_in_order(tmp_path):
    """CPUs and memory of each; a machine that shows none has none."""
    for index in (1, 0):
        write(tmp_path / f"node{index}" / "cpulist", f"{8 * index}-{8 * index + 7}\n")
        write(tmp_path / f"node{index}" / "meminfo", f"Node {index} MemTotal:       {16 * 2**20} kB\n")

    assert [(node.index, node.cpus, node.memory_gib) for node in host.read_numa(tmp_path)] == [(0, "0-7", 16.0), (1, "8-15", 16.0)]
    assert host.read_numa(tmp_path / "none") == ()


def test_memory_and_disk_are_measured(tmp_path):
    """Positive rates, and nothing left behind; a disk that cannot be written gives none."""
    assert benchmark.measure_memory(1 << 20) > 0
    written, read = benchmark.measure_disk(tmp_path, 1 << 16)
    assert written > 0 and read > 0 and list(tmp_path.iterdir()) == []


def test_a_benchmark_is_remembered_and_a_broken_memory_is_none(tmp_path):
    """What was measured once is shown at the next start."""
    found = benchmark.Benchmark(device="CPU", gflops={"fp32": 100.0}, time=1.0)
    benchmark.remember(tmp_path / "cache", found)

    assert benchmark.recall(tmp_path / "cache") == found
    (tmp_path / "cache" / "benchmark.json").write_text("{")
    assert benchmark.recall(tmp_path / "cache") is None


def test_the_load_of_gpus_is_told(driver):
    """Utilisation, temperature, power in watts, and what holds the clocks down."""
    driver(nvmlDeviceGetCurrentClocksEventReasons=lambda handle: pynvml.nvmlClocksEventReasonSwThermalSlowdown)
    load = nvidia.read_loads()[1]

    assert (load.vram_used_gib, load.utilisation, load.temperature_c, load.power_w) == (4.0, 37.0, 61.0, 212.0)
    assert (load.index, load.throttled) == (1, ("heat",))


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
        ("MIG-dd", "", (3,)),
        ("0,3", "PCI_BUS_ID", (3,)),
    ],
)  # fmt: skip
def test_visible_gpus_follow_cudas_rules(listed, order, visible):
    """Fastest first unless told otherwise, and a list ends at its first unknown entry."""
    gpus = (gpu(index=0, capability=(7, 5), uuid="GPU-aa"), gpu(index=1, capability=(9, 0), uuid="GPU-bb"), gpu(index=2, uuid="GPU-cc"))
    if listed and (listed.startswith("MIG") or "3" in listed):
        gpus = (*gpus, gpu(index=3, uuid="GPU-dd", mig=True, mig_devices=(nvidia.MigDevice("MIG-dd", 20.0, 19.0),)))

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

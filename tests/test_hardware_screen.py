"""The hardware screen: the machine, the plan with its reasons, scrolling, and nothing sent when nothing changed."""

import threading
from itertools import combinations

import msgspec
import pytest

from engine import events
from engine.benchmark import Benchmark
from engine.config_file import Document
from engine.model_shape import ModelShape
from engine.model_source import config_of
from engine.nvidia import GpuProcess
from engine.plan import make_plan
from engine.topology import Link
from tests.machines import gpu, machine
from tests.screens import text_of, until_shown
from tui import texts
from tui.app import DanluApp
from tui.gate import cells
from tui.glyphs import ASCII, UNICODE
from tui.screens.hardware_lines import benchmark_lines, machine_lines
from tui.screens.hardware_plan import Subject, plan_lines
from tui.screens.hardware_topology import topology_lines
from tui.session import Session
from tui.widgets.lines import line_cells
from tui.widgets.steady import SteadyView

IDLE = events.Hardware(gpus=[], rss_gib=0.1, cpu_percent=12.0, memory_available_gib=20.0, memory_total_gib=32.0)
BUSY = events.Gpu(index=0, name="RTX 3090", vram_used_gib=9.4, vram_total_gib=24.0, utilisation=97.0, temperature_c=71.0, power_w=344.0)


@pytest.fixture(autouse=True)
def english():
    """The tests read English texts."""
    texts.set_language("en")


def document(text=""):
    return Document(text)


def subject(where, text=""):
    config = document(text).values
    shape = ModelShape.from_config(config_of(config.model))
    return Subject("test", config.model.name, shape, make_plan(config, shape, where))


def as_text(lines):
    return "\n".join("".join(text for text, _ in line) for line in lines)


async def test_the_machine_and_the_verdict_are_on_the_first_page(tmp_path):
    """At 80×24: CPU, memory, disk, versions, and whether the reference preset fits."""
    async with DanluApp(Session(output_dir=tmp_path), "hardware").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "This machine", "CPU", "GFLOP/s", "Memory", "Disk", "torch")
        await until_shown(pilot, "Can I train this?", "Qwen/Qwen3-4B-Thinking-2507", "GiB at the peak")


async def test_the_machine_is_shown_before_the_model_is_known(tmp_path, monkeypatch):
    """Looking for the model's sizes may take long where a disk is busy; what is here already does not wait for that."""
    found = threading.Event()
    monkeypatch.setattr("tui.screens.hardware.config_of", lambda model: found.wait() and None)
    async with DanluApp(Session(output_dir=tmp_path), "hardware").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "This machine", "Memory", "Disk")
        assert "Can I train this?" not in text_of(pilot.app)
        found.set()
        await until_shown(pilot, "Can I train this?")


async def test_the_reasons_are_reached_by_scrolling(tmp_path):
    """What does not fit on the page is a few keys away, and g leads back."""
    async with DanluApp(Session(output_dir=tmp_path), "hardware").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Can I train this?")
        await pilot.press("G")
        await until_shown(pilot, "Ways to train it here", "one process")
        await pilot.press("g")
        await until_shown(pilot, "This machine")


async def test_the_configuration_at_hand_is_planned(tmp_path):
    """The document being edited, not the preset; a model without known sizes says how to get it."""
    session = Session(output_dir=tmp_path, document=document('[model]\nname = "nobody/Nothing-1B"\n'))
    async with DanluApp(session, "hardware").run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "nobody/Nothing-1B", "danlu fetch nobody/Nothing-1B")


async def test_the_time_to_finish_is_told_where_the_data_is_known(tmp_path):
    """Counted beside the first look, so that the machine is on the screen at once."""
    session = Session(output_dir=tmp_path, document=document('[model]\nname = "demo"\n[data]\npath = "bundled"\n'))
    async with DanluApp(session, "hardware").run_test(size=(120, 60)) as pilot:
        await until_shown(pilot, "Speed", "Time", "min")


async def test_the_same_lines_are_not_drawn_again(tmp_path):
    """A look that finds nothing new sends the terminal nothing."""
    async with DanluApp(Session(output_dir=tmp_path), "hardware").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Can I train this?", "GFLOP/s")
        screen = pilot.app.screen
        screen._looks.pause()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        asked = []
        view = screen.query_one(SteadyView)
        view.refresh = lambda *regions, **options: asked.append(regions)
        screen._draw()

        assert asked == []


async def test_chinese_fits_too(tmp_path):
    """The same page in Chinese."""
    texts.set_language("zh")
    async with DanluApp(Session(output_dir=tmp_path), "hardware").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "这台机器", "能训练这个吗", "内存")


def test_gpus_are_listed_with_their_load():
    """Name, capability, link, memory, load; the one that trains is marked, a lost one says so."""
    where = machine(gpu(pcie_generation=4, pcie_width=16), gpu(index=1, problem="the GPU has fallen off the bus"))
    load = events.Hardware(gpus=[BUSY], rss_gib=0.1, cpu_percent=12.0)
    text = as_text(machine_lines(where, load, False, UNICODE, 100, trains=(0,)))

    assert "RTX 3090" in text and "compute 8.6" in text and "PCIe 4 ×16" in text and "trains here" in text
    assert "9.4 of 24.0 GiB used" in text and "97%  71°C 344W" in text
    assert "✗ the GPU has fallen off the bus" in text


def test_each_gpu_gets_its_own_load_and_the_plans_choice_is_marked():
    """Also where another one does not answer, and where the plan takes the second card."""
    load = events.Hardware(gpus=[msgspec.structs.replace(BUSY, index=1)], rss_gib=0.1, cpu_percent=12.0)
    lines = as_text(machine_lines(machine(gpu(), gpu(index=1)), load, False, UNICODE, 100, trains=(1,))).splitlines()

    assert "GPU 0" in lines[1] and "trains here" not in lines[1]
    assert "GPU 1" in lines[2] and "trains here" in lines[2] and "9.4 of 24.0" in lines[3]


@pytest.mark.parametrize("width", [78, 118])
def test_many_equal_gpus_take_a_line_each(width):
    """Their facts once, so that the verdict below eight cards stays in sight; the one that is another card stands apart."""
    cards = [gpu(index=index, clock_mhz=1410, clock_max_mhz=1980) for index in range(8)]
    loads = [msgspec.structs.replace(BUSY, index=index) for index in range(9)]
    where = machine(*cards, gpu(index=8, name="NVIDIA T4", capability=(7, 5)))
    lines = as_text(machine_lines(where, events.Hardware(gpus=loads, rss_gib=0.1, cpu_percent=1.0), False, UNICODE, width, trains=(0, 2)))
    told = [line for line in lines.splitlines() if line.startswith("GPU")]

    assert [line.split("  ")[0] for line in told] == ["GPU 0-7", *(f"GPU {index}" for index in range(9))]
    assert "of these train 0 2" in " ".join(lines.split()) and "1410 MHz" in told[3] and lines.count("compute 8.6") == 1


def test_what_does_not_fit_says_so_with_a_sign_and_a_cure():
    """Not by colour alone."""
    text = as_text(plan_lines(subject(machine(gpu(free=6.0))), UNICODE, 100))

    assert "✗ It does not fit" in text and "model.quantization = 'nf4'" in text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [58, 78, 118])
def test_no_line_is_wider_than_the_screen(language, width):
    """Long names and reasons are wrapped by cells."""
    texts.set_language(language)
    where = machine(gpu(free=3.0, name="NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"), gpu(index=1, free=3.0))
    load = events.Hardware(gpus=[BUSY, BUSY], rss_gib=0.1, cpu_percent=100.0)
    lines = machine_lines(where, load, False, UNICODE, width) + plan_lines(subject(where), UNICODE, width)

    assert [as_text([line]) for line in lines if line_cells(line) > width] == []


def test_ascii_draws_with_ascii():
    """`--ascii` reaches every sign of the page that is not a text."""
    text = as_text(machine_lines(machine(), IDLE, True, ASCII, 78) + plan_lines(subject(machine()), ASCII, 78))

    assert not set(text) & set("█░─·✓✗▲") and cells("#") == 1


def test_outside_names_pass_the_gate():
    """A GPU or model name cannot move the cursor."""
    lines = machine_lines(machine(gpu(name="evil\x1b[2J")), IDLE, False, UNICODE, 78)

    assert "\x1b" not in as_text(lines)


def test_the_topology_is_drawn_as_a_matrix():
    """Who reaches whom over what, with the short names explained and NUMA nodes beside."""
    where = machine(*(gpu(index=index, numa_node=index // 2) for index in range(3)))
    where = msgspec.structs.replace(where, links=(Link(first=0, second=1, kind="nvlink", nvlinks=4, p2p=True),
                                                  Link(first=0, second=2, kind="sockets", p2p=False),
                                                  Link(first=1, second=2, kind="sockets", p2p=False)))  # fmt: skip
    text = as_text(topology_lines(where, UNICODE, 63))

    assert text.splitlines()[1].split() == ["GPU0", "·", "NV4", "SYS", "0"]
    assert "SYS = over two CPUs" in text and "only some GPUs" in text
    assert topology_lines(machine(gpu()), UNICODE, 63) == []


def test_gpus_that_do_not_fit_into_the_matrix_are_counted():
    """Sixteen at 80 columns; none is left out without a word."""
    cards = [gpu(index=index) for index in range(16)]
    links = tuple(Link(first=one.index, second=other.index, kind="nvlink", nvlinks=18) for one, other in combinations(cards, 2))
    drawn, wide = (as_text(topology_lines(msgspec.structs.replace(machine(*cards), links=links), UNICODE, width)) for width in (63, 140))

    assert "8 more GPUs do not fit" in drawn and "GPU15" in wide and "more GPUs" not in wide


@pytest.mark.parametrize("why", ["heat", "power limit", "power brake", "hardware slowdown"])
def test_troubles_and_programs_of_a_gpu_are_told(why):
    """Throttling by its cause, memory errors, and who holds the memory."""
    programs = (GpuProcess(7, "python", 9.5), GpuProcess(8, "", None))
    where = machine(gpu(throttled=(why,), ecc_errors=2, power_limit_w=350.0, processes=programs))
    text = as_text(machine_lines(where, events.Hardware(gpus=[BUSY], rss_gib=0.1, cpu_percent=1.0), False, UNICODE, 100))

    assert "clocks held down by" in text and "hardware.throttle" not in text
    assert "memory held by a program (pid 8)" in text
    assert "2 uncorrected memory errors" in text and "9.5 GiB held by python (pid 7)" in text and "344W" not in text.replace("344/350W", "")


def test_accelerators_that_do_not_train_are_named():
    """Honestly, with a sign."""
    text = as_text(machine_lines(msgspec.structs.replace(machine(), others=("AMD Radeon X (24 GiB)",)), IDLE, False, UNICODE, 100))

    assert "▲" in text and "AMD Radeon X" in text


def test_the_benchmark_is_shown_or_says_its_key():
    """Products by precision with their device; before the first time, which key measures."""
    found = Benchmark(device="CPU, 2 threads", gflops={"fp32": 140.0, "bf16": 0.31}, disk_write_mbs=900.0, disk_read_mbs=2000.0)

    assert "fp32 140 bf16 0.3 GFLOP/s (CPU, 2 threads)" in as_text(benchmark_lines(found, False, UNICODE, 120))
    assert "b measures" in as_text(benchmark_lines(None, False, UNICODE, 120))

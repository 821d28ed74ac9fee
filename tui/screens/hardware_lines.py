"""The lines of the hardware screen about the machine and its load. Pure functions, no keys; the plan is `hardware_plan`."""

from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path

from engine import events
from engine.benchmark import Benchmark
from engine.hardware import Machine
from engine.nvidia import Gpu
from tui.gate import cells, clip, pad, safe
from tui.glyphs import Glyphs
from tui.screens.hardware_topology import topology_lines
from tui.texts import has, tr
from tui.widgets.lines import Line, line_cells, wrap
from tui.widgets.meters import bar

LABEL = 15
"""Cells of the column of names, blanks included."""
WIDEST_BAR = 40
PROGRAMS = 3
"""Programs told of each GPU."""
MANY = 3
"""So many equal GPUs in a row share one line of facts, so that what follows them stays in sight."""


def _problem(words: str) -> str:
    """What `engine.nvidia` found wrong, in the user's language; a driver's own words as they are."""
    key = f"hardware.problem.{words}"
    return tr(key) if has(key) else safe(words)


def machine_lines(
    machine: Machine, load: events.Hardware, measuring: bool, glyphs: Glyphs, width: int, trains: Collection[int] = ()
) -> list[Line]:
    """What is there and what it is doing. trains: indices of the GPUs the plan takes."""
    lines = [title(tr("hardware.title.machine"), "", glyphs, width)]
    lines += _gpu_lines(machine.gpus, load, trains, glyphs, width) or named(tr("hardware.gpu"), [(tr("hardware.no_gpu"), "text")], width)
    lines += [[(" " * LABEL, ""), *line] for line in topology_lines(machine, glyphs, width - LABEL)]
    if machine.others:
        lines += named("", [(f"{glyphs.warning} {tr('hardware.not_used', names=safe(', '.join(machine.others)))}", "warn")], width)
    if machine.driver.version:
        told = tr("hardware.driver", version=safe(machine.driver.version), cuda=safe(machine.driver.cuda or "?"))
        lines += named(tr("hardware.driver_name"), [(told, "text")], width)
    if machine.driver.problem:
        lines += named("", [(f"{glyphs.note} {_problem(machine.driver.problem)}", "dim")], width)
    lines += _cpu_lines(machine, load, measuring, glyphs, width)
    lines += _memory_lines(machine, glyphs, width) + _disk_lines(machine, glyphs, width)
    versions = f" {glyphs.note} ".join(f"{name} {version or glyphs.failed}" for name, version in machine.versions.items())
    return lines + named(tr("hardware.versions"), [(safe(versions), "dim")], width)


def benchmark_lines(found: Benchmark | None, measuring: bool, glyphs: Glyphs, width: int) -> list[Line]:
    """What the benchmark measured, or how to run it."""
    if measuring:
        return named(tr("hardware.benchmark"), [(tr("hardware.measuring"), "dim")], width)
    if found is None:
        return named(tr("hardware.benchmark"), [(tr("hardware.benchmark_key"), "dim")], width)
    parts = [f"{kind} {rate:,.0f}" if rate >= 10 else f"{kind} {rate:.1f}" for kind, rate in found.gflops.items()]
    told = [f"{' '.join(parts)} GFLOP/s ({safe(found.device)})"] if parts else [f"{glyphs.warning} {safe(found.problem)}"]
    if found.device_memory_gbs:
        told.append(tr("hardware.memory_rate", rate=f"{found.device_memory_gbs:,.0f}"))
    if found.disk_write_mbs and found.disk_read_mbs:
        told.append(tr("hardware.disk_rate", written=f"{found.disk_write_mbs:,.0f}", read=f"{found.disk_read_mbs:,.0f}"))
    return named(tr("hardware.benchmark"), [(f" {glyphs.note} ".join(told), "text")], width)


def title(text: str, right: str, glyphs: Glyphs, width: int) -> Line:
    room = max(0, width - cells(text) - 2)
    right = clip(right, max(0, room - 4))
    tail = f" {right}" if right else ""
    return [(text, "title"), (" ", ""), (glyphs.rule * max(0, room - cells(tail) + 1), "axis"), (tail, "dim")]


def named(name: str, value: Line, width: int) -> list[Line]:
    """A name and its value beside it; what is too long goes on below, under the value."""
    first, *rest = wrap(value, max(10, width - LABEL))
    return [[(pad(name, LABEL), "dim"), *first], *[[(" " * LABEL, ""), *line] for line in rest]]


def _meter(share: float, glyphs: Glyphs, width: int) -> Line:
    return bar(share, min(WIDEST_BAR, max(8, width - LABEL - 44)), glyphs)


def _gpu_lines(gpus: Sequence[Gpu], load: events.Hardware, trains: Collection[int], glyphs: Glyphs, width: int) -> list[Line]:
    lines: list[Line] = []
    loads = {gpu.index: gpu for gpu in load.gpus}
    for (_, facts), group in groupby(gpus, key=lambda gpu: (gpu.name, _facts(gpu))):
        alike = list(group)
        if alike[0].problem:
            told = f"  {glyphs.failed} {_problem(alike[0].problem)}"
            lines += [line for gpu in alike for line in named(f"GPU {gpu.index}", [(safe(gpu.name), "bright"), (told, "bad")], width)]
        elif len(alike) < MANY:
            lines += [line for gpu in alike for line in _one_gpu(gpu, facts, loads.get(gpu.index), gpu.index in trains, glyphs, width)]
        else:
            lines += _many_gpus(alike, facts, loads, trains, glyphs, width)
    return lines


def _one_gpu(gpu: Gpu, facts: Sequence[str], load: events.Gpu | None, trains: bool, glyphs: Glyphs, width: int) -> list[Line]:
    now = [f"{gpu.clock_mhz}/{gpu.clock_max_mhz} MHz"] if gpu.clock_mhz and gpu.clock_max_mhz else []
    now += [tr("hardware.trains_here")] if trains else []
    lines = named(f"GPU {gpu.index}", _titled(gpu, [*facts, *now], glyphs), width)
    lines += named("", _gpu_load(load, gpu, glyphs, width), width) if load else []
    return lines + _gpu_remarks(gpu, glyphs, width)


def _many_gpus(
    alike: Sequence[Gpu], facts: Sequence[str], loads: dict[int, events.Gpu], trains: Collection[int], glyphs: Glyphs, width: int
) -> list[Line]:
    """Their facts once, then a line with the load of each, unless there is more to tell."""
    chosen = [str(gpu.index) for gpu in alike if gpu.index in trains]
    some = [tr("hardware.trains_on", gpus=" ".join(chosen))] if chosen else []
    told = [*facts, *([tr("hardware.trains_here")] if len(chosen) == len(alike) else some)]
    lines = named(f"GPU {alike[0].index}-{alike[-1].index}", _titled(alike[0], told, glyphs), width)
    for gpu in alike:
        clock: Line = [(f"  {gpu.clock_mhz:4} MHz", "dim")] if gpu.clock_mhz else []
        load = _gpu_load(loads[gpu.index], gpu, glyphs, width - line_cells(clock)) if gpu.index in loads else []
        lines += [*named(f"GPU {gpu.index}", [*load, *clock], width), *_gpu_remarks(gpu, glyphs, width)]
    return lines


def _gpu_remarks(gpu: Gpu, glyphs: Glyphs, width: int) -> list[Line]:
    """What is wrong with a GPU that works, and who holds its memory."""
    told = [(text, "warn") for text in _gpu_troubles(gpu, glyphs)] + [(text, "dim") for text in _gpu_programs(gpu)]
    return [line for text in told for line in named("", [text], width)]


def _titled(gpu: Gpu, facts: Sequence[str], glyphs: Glyphs) -> Line:
    return [(safe(gpu.name), "bright"), (f"  {f' {glyphs.note} '.join(facts)}", "dim")]


def _facts(gpu: Gpu) -> tuple[str, ...]:
    """What does not change while one looks; equal GPUs have equal facts."""
    if gpu.problem:
        return (gpu.problem,)
    facts = []
    if gpu.compute_capability:
        facts.append(tr("hardware.compute", version="{}.{}".format(*gpu.compute_capability)))
    facts.append(tr("hardware.bf16" if gpu.has_bf16 else "hardware.no_bf16"))
    if gpu.has_fp8:
        facts.append("fp8")
    if gpu.nvlinks:
        facts.append(f"NVLink ×{gpu.nvlinks}")
    elif gpu.pcie_generation and gpu.pcie_width:
        facts.append(f"PCIe {gpu.pcie_generation} ×{gpu.pcie_width}")
    if gpu.ecc is not None:
        facts.append(tr("hardware.ecc_on" if gpu.ecc else "hardware.ecc_off"))
    if gpu.mig_devices:
        facts.append(tr("hardware.mig", n=len(gpu.mig_devices), size=f"{gpu.vram_total_gib or 0:.1f}"))
    return tuple(facts)


def _gpu_load(now: events.Gpu, gpu: Gpu, glyphs: Glyphs, width: int) -> Line:
    share = now.vram_used_gib / now.vram_total_gib if now.vram_total_gib else 0.0
    used = tr("hardware.used", used=f"{now.vram_used_gib:.1f}", total=f"{now.vram_total_gib:.1f}")
    line: Line = [*_meter(share, glyphs, width), (f" {used}", "text")]
    limit = f"/{gpu.power_limit_w:.0f}W" if gpu.power_limit_w else "W"
    values = (now.utilisation, "%"), (now.temperature_c, "°C"), (now.power_w, limit)
    told = [f"{value:3.0f}{unit}" for value, unit in values if value is not None]
    return [*line, (f"  {' '.join(told)}", "dim")] if told else line


def _gpu_troubles(gpu: Gpu, glyphs: Glyphs) -> list[str]:
    """What is wrong with a GPU that works."""
    told = []
    if gpu.throttled:
        told.append(f"{glyphs.warning} {tr('hardware.throttled', why=', '.join(tr(f'hardware.throttle.{why}') for why in gpu.throttled))}")
    if gpu.ecc_errors:
        told.append(f"{glyphs.warning} {tr('hardware.ecc_errors', n=gpu.ecc_errors)}")
    return told


def _gpu_programs(gpu: Gpu) -> list[str]:
    """Programs that hold the most of its memory."""
    told = []
    for each in gpu.processes[:PROGRAMS]:
        facts = {"name": safe(each.name) or tr("hardware.a_program"), "pid": each.pid}
        silent = each.used_gib is None
        told.append(tr("hardware.program_silent", **facts) if silent else tr("hardware.program", used=f"{each.used_gib:.1f}", **facts))
    return told


def _cpu_lines(machine: Machine, load: events.Hardware, measuring: bool, glyphs: Glyphs, width: int) -> list[Line]:
    cpu = machine.cpu
    counted = tr("hardware.cores", cores=cpu.cores, threads=f"{cpu.threads:g}")
    facts = f" {glyphs.note} ".join([counted, *cpu.instructions])
    if measuring:
        rate = tr("hardware.measuring")
    else:
        rate = tr("hardware.not_measured") if machine.gemm_gflops is None else tr("hardware.gemm", rate=f"{machine.gemm_gflops:.0f}")
    busy: Line = [*_meter(load.cpu_percent / 100, glyphs, width), (f" {load.cpu_percent:.0f}%", "text"), (f"  {rate}", "dim")]
    lines = named("CPU", [(safe(cpu.name), "bright"), (f"  {facts}", "dim")], width) + named("", busy, width)
    if len(cpu.numa_nodes) > 1:
        nodes = [f"NUMA {node.index}: {safe(node.cpus)}, {node.memory_gib:.0f} GiB" for node in cpu.numa_nodes]
        lines += named("", [(f" {glyphs.note} ".join(nodes), "dim")], width)
    return lines


def _memory_lines(machine: Machine, glyphs: Glyphs, width: int) -> list[Line]:
    memory = machine.memory
    used = memory.total_gib - memory.available_gib
    line = [*_meter(used / memory.total_gib if memory.total_gib else 0.0, glyphs, width)]
    line.append((f" {tr('hardware.used', used=f'{used:.1f}', total=f'{memory.total_gib:.1f}')}", "text"))
    if memory.limit_gib is not None:
        line.append((f"  {tr('hardware.container')}", "dim"))
    return named(tr("hardware.memory"), line, width)


def _disk_lines(machine: Machine, glyphs: Glyphs, width: int) -> list[Line]:
    disk = machine.disk
    share = 1 - disk.free_gib / disk.total_gib if disk.total_gib else 0.0
    where = clip(safe(str(Path(disk.folder))), max(8, width - LABEL - 40))
    told = tr("hardware.free", free=f"{disk.free_gib:.0f}", total=f"{disk.total_gib:.0f}")
    return named(tr("hardware.disk"), [*_meter(share, glyphs, width), (f" {told}", "text"), (f"  {where}", "dim")], width)

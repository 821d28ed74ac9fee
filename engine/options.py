"""What each way of using the machine's devices costs in memory and time. Which is best is `engine.strategy`.

Times are estimates: arithmetic at the share of the data sheet's rate that training reaches (`engine.speed`), plus the bytes that
processes send each other at the links' rate (`engine.topology`), less what is hidden behind the arithmetic.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import msgspec
from msgspec import Struct

from engine import speed
from engine.activations import BYTES, runs_fused
from engine.certainty import Certainty
from engine.config import Config
from engine.fitting import Fit, Setting, choose, piece_tokens
from engine.forecast import GIB, Forecast, base_bytes, forecast, workload
from engine.gpu_facts import facts_of
from engine.hardware import Machine
from engine.model_shape import ModelShape
from engine.notes import Note, note
from engine.nvidia import Gpu
from engine.topology import FAST_GBS, PCIE_GBS, REACHED, link_between, link_gbs

DRIVEN = ("single", "ddp", "fsdp2")
"""Strategies the engine runs; the others are worked out so that their cost can be compared, and said to be not driven."""
HIDDEN_FAST, HIDDEN_SLOW = 0.8, 0.3
"""Share of the transfers that hide behind arithmetic: over NVLink, and where they go through the host and compete for memory."""
HOST_SHARE = 0.8
"""Share of the host's free memory that offloaded weights may take."""
LONG_TOKENS = 8192
"""Below this a row is not worth cutting over several GPUs: its keys and values travel more than is saved."""


@dataclass(frozen=True)
class Case:
    """What is asked. tokens: real tokens of one epoch, None if unknown.  longest: tokens of the longest micro-batch of so many rows,
    where the data is known; by default rows are as long as max_seq_length allows."""

    config: Config
    shape: ModelShape
    machine: Machine
    precision: str
    tokens: int | None = None
    longest: Callable[[int], int] | None = None

    @property
    def is_on_cpu(self) -> bool:
        return not self.machine.usable_gpus

    def tokens_of(self, rows: int) -> int:
        """Tokens of the longest micro-batch of `rows` rows, or of the longest piece of it that passes through the model at once."""
        length = self.config.data.max_seq_length
        if self.longest:
            return self.longest(rows)
        most = piece_tokens(not self.is_on_cpu, max(1, self.config.parallel.num_gpus) * self.config.parallel.num_nodes)
        return rows * length if most is None else min(rows * length, max(most, length))

    @property
    def longest_row(self) -> int:
        return self.tokens_of(1)


@dataclass(frozen=True)
class Group:
    """Equal processes: the GPUs of each machine, in the order of the ranks, and the machines. () stands for the CPU, which `processes` of
    each machine share."""

    gpus: tuple[Gpu, ...]
    num_nodes: int = 1
    processes: int = 1

    @property
    def on_each(self) -> int:
        """Processes on each machine."""
        return len(self.gpus) or self.processes

    @property
    def size(self) -> int:
        return self.on_each * self.num_nodes

    @property
    def cards_differ(self) -> bool:
        return len({gpu.name for gpu in self.gpus}) > 1


class Option(Struct, frozen=True, kw_only=True):
    """One way, worked out. name: single, ddp, fsdp2, nf4, nf4_ddp, context_parallel or cpu_offload.  peak_gib, available_gib: of each
    process.  micro_batch: 0 where not even a row fits.  step_s: of one optimiser step, None without a known rate.
    link_gbs: between its GPUs.  impossible: why it cannot be, apart from memory.  note: why it was taken or not."""

    name: str
    strategy: str
    quantization: str
    gpus: tuple[int, ...]
    num_nodes: int
    world_size: int
    fits: bool
    peak_gib: float
    available_gib: float
    micro_batch: int
    accumulation: int
    recomputed_layers: int
    chunk_bytes: int
    offloads_inputs: bool
    forecast: Forecast
    step_s: float | None = None
    link_gbs: float = 0.0
    gpu_name: str = ""
    cards_differ: bool = False
    impossible: Note | None = None
    taken: bool = False
    note: Note | None = None

    @property
    def driven(self) -> bool:
        """Whether the engine can do it."""
        return self.strategy in DRIVEN

    def because(self, why: Note, taken: bool) -> "Option":
        return msgspec.structs.replace(self, note=why, taken=taken)

    def facts(self) -> dict[str, object]:
        """What `danlu plan --json` prints of it."""
        names = ("name", "strategy", "quantization", "num_nodes", "world_size", "fits", "peak_gib", "available_gib", "micro_batch",
                 "accumulation", "recomputed_layers", "offloads_inputs", "step_s", "taken", "driven")  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"gpus": list(self.gpus), "reason": self.note.text if self.note else ""}


def work_out(case: Case) -> tuple[Option, ...]:
    """Every way, in the order they are told."""
    asked = case.config.model.quantization
    one, many = _single_group(case), _best_group(case)
    ways = [_way(case, "single", "single", asked, one), _way(case, "ddp", "ddp", asked, many), _way(case, "fsdp2", "fsdp2", asked, many)]
    if asked == "none":
        ways += [_way(case, "nf4", "single", "nf4", one), _way(case, "nf4_ddp", "ddp", "nf4", many)]
    ways.append(_way(case, "context_parallel", "context_parallel", asked, _alike(case)))
    return (*ways, _way(case, "cpu_offload", "cpu_offload", asked, one))


def _way(case: Case, name: str, strategy: str, quantization: str, group: Group) -> Option:
    fit = _fit(case, strategy, quantization, group)
    certainty = certainty_of(case.machine, group.gpus[0] if group.gpus else None)
    impossible = _impossible(case, name, strategy, quantization, group)
    return Option(
        name=name, strategy=strategy, quantization=quantization, gpus=tuple(gpu.index for gpu in group.gpus), num_nodes=group.num_nodes,
        world_size=group.size, fits=fit.fits and impossible is None, peak_gib=fit.forecast.peak * certainty.factor,
        available_gib=available_gib(case.machine, group), micro_batch=fit.micro_batch, accumulation=fit.accumulation,
        recomputed_layers=fit.recomputed_layers, chunk_bytes=fit.chunk_bytes, offloads_inputs=fit.offloads_inputs, forecast=fit.forecast,
        step_s=_step_s(case, strategy, quantization, group, fit), link_gbs=group_gbs(case.machine, group),
        gpu_name=group.gpus[0].name if group.gpus else "", cards_differ=group.cards_differ, impossible=impossible,
    )  # fmt: skip


def certainty_of(machine: Machine, gpu: Gpu | None) -> Certainty:
    """What earlier runs on this device taught."""
    return machine.certainties.get(gpu.name if gpu else machine.cpu.name, Certainty())


def available_gib(machine: Machine, group: Group) -> float:
    """Free memory of the process that has least."""
    if not group.gpus:
        return machine.memory.available_gib / group.on_each
    return min(gpu.vram_free_gib or 0.0 for gpu in group.gpus)


def group_gbs(machine: Machine, group: Group) -> float:
    """GB/s of the slowest way between two processes of the group; 0 for one process."""
    if group.size == 1:
        return 0.0
    rates = [_pair_gbs(machine, one, other) for one, other in combinations(group.gpus, 2)]
    if group.num_nodes > 1:
        rates.append(machine.network_gbs * REACHED)
    return min(rates, default=0.0)


def _pair_gbs(machine: Machine, one: Gpu, other: Gpu) -> float:
    slower = min(one, other, key=lambda gpu: PCIE_GBS.get(gpu.pcie_generation or 3, 1.0) * (gpu.pcie_width or 16))
    facts = facts_of(one.name)
    return link_gbs(link_between(machine.links, one.index, other.index), slower.pcie_generation, slower.pcie_width,
                    facts.nvlink_gbs if facts else 0.0)  # fmt: skip


def best_first(machine: Machine, precision: str) -> list[Gpu]:
    """The usable GPUs, the fastest by its data sheet first, of equal ones that with most free memory."""
    return sorted(machine.usable_gpus, key=lambda gpu: (speed.gpu_rate(gpu, precision) or 0.0, gpu.vram_free_gib or 0.0), reverse=True)


def _single_group(case: Case) -> Group:
    return Group(tuple(best_first(case.machine, case.precision)[:1]))


def _best_group(case: Case) -> Group:
    """The GPUs that share a run: as many as the effective batch feeds, all cards or only the fastest kind, on one machine or all."""
    gpus, asked = best_first(case.machine, case.precision), case.config.parallel
    nodes = max(case.machine.num_nodes, asked.num_nodes)
    if not gpus:
        return Group((), nodes, max(1, asked.num_gpus))
    if asked.num_gpus or asked.num_nodes > 1 or asked.strategy in ("ddp", "fsdp2"):
        return Group(tuple(gpus[: asked.num_gpus or len(gpus)]), asked.num_nodes)
    alike = [gpu for gpu in gpus if gpu.name == gpus[0].name]
    rows = speed.rows_of_a_step(case.config)
    candidates = [group for kind in (alike, gpus) for group in _sizes(kind, nodes, rows)]
    return min(candidates, key=lambda group: (_row_rounds(case, group), group.size))


def _alike(case: Case) -> Group:
    """All GPUs of the fastest kind on one machine, however few rows there are."""
    fastest = _single_group(case).gpus
    return Group(tuple(gpu for gpu in case.machine.usable_gpus if fastest and gpu.name == fastest[0].name))


def _sizes(gpus: list[Gpu], nodes: int, rows: int) -> Iterator[Group]:
    """Groups that an effective batch of `rows` keeps busy; all machines only where one has not enough GPUs."""
    for size in range(1, len(gpus) + 1):
        if size <= rows:
            yield Group(tuple(gpus[:size]))
    if nodes > 1 and len(gpus) * nodes <= rows:
        yield Group(tuple(gpus), nodes)


def _row_rounds(case: Case, group: Group) -> float:
    """Time of a step's arithmetic in arbitrary units: rounds of rows, at the pace of the slowest card."""
    rate = min((speed.gpu_rate(gpu, case.precision) or 1.0) for gpu in group.gpus)
    return -(-speed.rows_of_a_step(case.config) // group.size) / rate


def _fit(case: Case, strategy: str, quantization: str, group: Group) -> Fit:
    """The memory manager's choice for this way."""
    config, on_gpu = case.config, bool(group.gpus)
    certainty, available = certainty_of(case.machine, group.gpus[0] if group.gpus else None), available_gib(case.machine, group)
    shares = {"shards": group.size} if strategy == "fsdp2" else {"pieces": group.size} if strategy == "context_parallel" else {}

    def measure(setting: Setting) -> Forecast:
        work = workload(config, case.precision, on_gpu, setting.recomputed_layers)
        changed = {"tokens": case.tokens_of(setting.rows), "quantization": quantization, "chunk_bytes": setting.chunk_bytes, **shares}
        changed |= {"offload": strategy == "cpu_offload", "offloads_inputs": setting.offloads_inputs}
        return forecast(case.shape, replace(work, **changed))

    def holds(found: Forecast) -> bool:
        return certainty.holds(found.peak * certainty.factor, available)

    can_offload = on_gpu and runs_fused(case.shape, config.lora.variant, strategy == "fsdp2")
    return choose(config, _rows(case, strategy, group), case.longest_row, case.shape.num_layers, can_offload, measure, holds)


def _rows(case: Case, strategy: str, group: Group) -> int:
    """Rows one process takes in a step; where a row is cut over all, every process takes part in every row."""
    rows = speed.rows_of_a_step(case.config)
    return rows if strategy == "context_parallel" else -(-rows // group.size)


def _impossible(case: Case, name: str, strategy: str, quantization: str, group: Group) -> Note | None:
    """Why a way cannot be, apart from its memory."""
    several = strategy in ("ddp", "fsdp2", "context_parallel")
    if case.is_on_cpu and strategy != "single" and case.config.parallel.strategy != name:
        return note("option_no_gpu")
    if several and group.size == 1 and case.config.parallel.strategy != name:
        return note(_why_alone(case))
    if strategy == "fsdp2" and quantization != "none":
        return note("option_quantised_shards")
    if strategy == "context_parallel" and case.longest_row < LONG_TOKENS:
        return note("option_short_rows", tokens=case.longest_row, least=LONG_TOKENS)
    held = base_bytes(case.shape, case.precision, quantization) / GIB
    if strategy == "cpu_offload" and held > HOST_SHARE * case.machine.memory.available_gib:
        return note("option_host_memory", held_gib=held, available_gib=case.machine.memory.available_gib)
    return None


def _why_alone(case: Case) -> str:
    """Why the other GPUs, if there are any, stay idle."""
    gpus = case.machine.usable_gpus
    if len(gpus) < 2:
        return "option_one_gpu"
    return "option_one_row" if speed.rows_of_a_step(case.config) == 1 else "option_slow_cards"


def _step_s(case: Case, strategy: str, quantization: str, group: Group, fit: Fit) -> float | None:
    """Seconds of one optimiser step."""
    rates = [speed.gpu_rate(gpu, case.precision) for gpu in group.gpus] or [_share_of_cpu(case, group)]
    if any(rate is None for rate in rates):
        return None
    row = speed.row_s(case.config, case.shape, min(rate for rate in rates if rate), quantization, fit.recomputed_layers)
    assert row is not None
    if strategy == "context_parallel":
        row /= group.size
    sent, gbs = _SENT[strategy](case, group, fit), group_gbs(case.machine, group) or _host_gbs(group)
    moving = sent / 1e9 / gbs if gbs else 0.0
    hidden = HIDDEN_FAST if gbs >= FAST_GBS else HIDDEN_SLOW
    computing = _rows(case, strategy, group) * (row + _offloading_s(case, group, fit))
    return computing + max(moving - computing, (1 - hidden) * moving, 0.0)


def _offloading_s(case: Case, group: Group, fit: Fit) -> float:
    """Seconds for which one row's inputs of layers are on their way to the host and back; nothing is computed meanwhile."""
    if not fit.offloads_inputs:
        return 0.0
    inputs = fit.recomputed_layers * speed.row_tokens(case.config) * case.shape.hidden_size * BYTES[case.precision]
    return 2 * inputs / 1e9 / _host_gbs(group)


def _share_of_cpu(case: Case, group: Group) -> float | None:
    """FLOP/s of each of the processes that share a CPU's cores."""
    rate = speed.cpu_rate(case.machine, case.precision)
    return rate and rate / group.on_each


def _host_gbs(group: Group) -> float:
    return REACHED * PCIE_GBS.get(group.gpus[0].pcie_generation or 3, 1.0) * (group.gpus[0].pcie_width or 16) if group.gpus else 0.0


def _gradients(case: Case, group: Group, fit: Fit) -> float:
    """An all-reduce of the adapters' gradients, once a step."""
    trained = case.shape.adapter_parameters(case.config.lora.r, case.config.lora.target_modules)
    return 2 * 4 * trained * (group.size - 1) / group.size


def _shards(case: Case, group: Group, fit: Fit) -> float:
    """All weights gathered for forward and again for backward of every micro-batch."""
    weights = base_bytes(case.shape, case.precision, "none") * (group.size - 1) / group.size
    return 2 * weights * fit.accumulation + _gradients(case, group, fit) / 2


def _keys(case: Case, group: Group, fit: Fit) -> float:
    """Keys and values of every layer passed round, forward once and backward twice, for each row."""
    width = 2 * case.shape.num_kv_heads * case.shape.head_dim * BYTES[case.precision]
    row = 3 * case.shape.num_layers * case.longest_row * width * (group.size - 1) / group.size
    return speed.rows_of_a_step(case.config) * row + _gradients(case, group, fit)


def _streamed(case: Case, group: Group, fit: Fit) -> float:
    """All layers from host memory, forward and backward of every micro-batch."""
    return 2 * case.shape.num_layers * case.shape.layer_parameters * BYTES[case.precision] * fit.accumulation


_SENT: dict[str, Callable[[Case, Group, Fit], float]] = {
    "single": lambda case, group, fit: 0.0, "ddp": _gradients, "fsdp2": _shards, "context_parallel": _keys, "cpu_offload": _streamed,
}  # fmt: skip
"""Bytes one process sends or takes in a step."""

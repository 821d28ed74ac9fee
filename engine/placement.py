"""How many processes a run takes, where, and how they share it: decided once, before anything is started. No torch.

Asked for strategies are obeyed; `auto` asks the plan on a machine with GPUs and is a single process without.
"""

import os
import socket
from typing import Any

from msgspec import Struct

from engine import model_source
from engine.config import Config
from engine.errors import ConfigError, EnvironmentFault
from engine.hardware import Machine
from engine.model_shape import ModelShape
from engine.options import best_first
from engine.plan import make_plan

NODE_RANK, RENDEZVOUS = "DANLU_NODE_RANK", "DANLU_RENDEZVOUS"
"""Which of several machines this is, and HOST:PORT of the first one; `danlu train` sets them from --node-rank and --rdzv."""


class Placement(Struct, frozen=True):
    """processes: on this machine.  gpus: by NVML index, () on a CPU.  host, port: of the first machine.
    devices: CUDA_VISIBLE_DEVICES of the processes, "" to leave it as it is.  idle: GPUs that could have been used as well, had the
    model's sizes been known."""

    strategy: str = "single"
    processes: int = 1
    gpus: tuple[int, ...] = ()
    num_nodes: int = 1
    node_rank: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    devices: str = ""
    idle: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What makes PyTorch see the GPUs that were chosen, and no others."""
        return {"CUDA_VISIBLE_DEVICES": self.devices, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if self.devices else {}

    @property
    def world_size(self) -> int:
        return self.processes * self.num_nodes


def decide(config: Config, machine: Machine) -> Placement:
    """The placement of `config` on `machine`.

    Raises ConfigError for what the machine or the configuration rules out, EnvironmentFault for a port that is taken.
    """
    facts = model_source.config_of(config.model) if machine.usable_gpus else None
    strategy, gpus = _strategy(config, machine, facts)
    asked, devices = config.parallel, _devices(machine, gpus)
    if strategy == "single" and asked.num_nodes == 1:
        chosen = asked.strategy == "single" or facts is not None
        return Placement(gpus=gpus, devices=devices, idle=0 if chosen else max(0, len(machine.usable_gpus) - 1))
    if strategy == "single":
        raise ConfigError(f"parallel.num_nodes = {asked.num_nodes} with strategy 'single': use 'ddp' or 'fsdp2', or one machine")
    if strategy == "fsdp2" and config.model.quantization != "none":
        raise ConfigError(
            f"parallel.strategy = 'fsdp2' with model.quantization = {config.model.quantization!r}: quantised weights are not sharded; "
            "use 'ddp', each GPU holds them whole"
        )
    node_rank, host, port = _meeting(asked.num_nodes)
    processes = len(gpus) or asked.num_gpus or 1
    return Placement(strategy, processes, gpus, asked.num_nodes, node_rank, host, port, devices)


def _strategy(config: Config, machine: Machine, facts: dict[str, Any] | None) -> tuple[str, tuple[int, ...]]:
    """The strategy and the GPUs it takes, as the plan says.  facts: the model's config.json, None where it was not fetched yet."""
    asked, usable = config.parallel, tuple(gpu.index for gpu in best_first(machine, "bf16"))
    if asked.num_gpus > len(usable) > 0:
        raise ConfigError(f"parallel.num_gpus = {asked.num_gpus}: this machine has {len(usable)} usable GPUs; set at most that many")
    if usable and facts is not None:
        plan = make_plan(config, ModelShape.from_config(facts), machine)
        return plan.strategy, plan.gpus
    several = asked.num_nodes > 1 or asked.num_gpus > 1
    strategy = asked.strategy if asked.strategy != "auto" else "ddp" if several else "single"
    return strategy, usable[:1] if strategy == "single" else usable[: asked.num_gpus or len(usable)]


def _devices(machine: Machine, gpus: tuple[int, ...]) -> str:
    """The GPUs as CUDA_VISIBLE_DEVICES lists them; "" for a part of a card cut by MIG, which CUDA has found by itself."""
    is_cut = any(gpu.mig_devices for gpu in machine.gpus if gpu.index in gpus)
    return "" if is_cut else ",".join(map(str, gpus))


def _meeting(num_nodes: int) -> tuple[int, str, int]:
    """Number of this machine, and host and port of the first one."""
    if num_nodes == 1:
        return 0, "127.0.0.1", 0
    number, address = os.environ.get(NODE_RANK, ""), os.environ.get(RENDEZVOUS, "")
    host, _, port = address.rpartition(":")
    if not number.isdecimal() or int(number) >= num_nodes or not host or not port.isdecimal():
        raise ConfigError(
            f"parallel.num_nodes = {num_nodes}: start it on every machine with --node-rank 0 to {num_nodes - 1} and the same "
            f"--rdzv HOST:PORT of machine 0 (seen: --node-rank {number or 'none'} --rdzv {address or 'none'})"
        )
    if int(number) == 0:
        _must_be_free(int(port))
    return int(number), host, int(port)


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise EnvironmentFault(
                f"port {port} cannot be used for the ranks to meet ({error.strerror}); choose another --rdzv HOST:PORT"
            ) from error

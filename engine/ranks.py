"""The ranks of a run: who this process is, and everything the ranks must agree on. Each call is made by all ranks in the same order.

A run of one process is a rank of one, for which every call is the identity, so that loop and step need not ask. Small things
(counts, flags, commands) go through the CPU with gloo, gradients through the device's own backend. Gradients of adapters are summed
in one flat piece once a step: exact whatever the split, and nothing hangs on which parameter got a gradient first.
Not here: sharded weights (`engine.sharding`), who starts and watches ranks (`engine.rank_launcher`).
"""

import contextlib
import datetime
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor

from engine.errors import EnvironmentFault, RunError
from engine.out_of_memory import out_of_memory_words
from engine.pulse import Pulse
from engine.rank_place import RankPlace

T = TypeVar("T")

PATIENCE = datetime.timedelta(hours=24)
"""Ranks wait for whatever the first one does (a pause, a download); who hangs is found out by its launcher, within seconds."""
SHORT = 512
"""Bytes of a value that travel at once."""
NAME = 64
"""Bytes of a machine's name. No object is pickled: nobody authenticates a rank on another machine."""


class PeerLost(RuntimeError):
    """A collective call failed because another rank has gone: a consequence, never the cause."""


class OutOfMemoryEverywhere(torch.OutOfMemoryError):
    """Raised in all ranks when one of them ran out of memory, so that all take the step again."""


class Ranks:
    """rank of size; local_rank chooses the device.  sharded: the base's weights lie in pieces on the ranks (fsdp2)."""

    def __init__(self, place: RankPlace | None = None, pulse: Pulse | None = None):
        """`None` is a run of one process."""
        self.rank = place.rank if place else 0
        self.size = place.size if place else 1
        self.local_rank = place.local_rank if place else 0
        self.strategy = place.strategy if place else "single"
        self.hosts = [socket.gethostname()] * self.size
        """Machine of each rank; known once they have met."""
        self._place, self._pulse, self._waited_s = place, pulse, 0.0

    @property
    def is_first(self) -> bool:
        """The one that writes."""
        return self.rank == 0

    @property
    def is_sharded(self) -> bool:
        return self.strategy == "fsdp2"

    @property
    def gpu_index(self) -> int | None:
        """NVML's number of this rank's GPU, None on a CPU."""
        listed = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.isdecimal()]
        return int(listed[self.local_rank]) if torch.cuda.is_available() and self.local_rank < len(listed) else None

    def join(self) -> None:
        """Meet the other ranks. Raises EnvironmentFault where the meeting fails, RunError where they do not belong together."""
        place = self._place
        if place is None:
            return
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.set_device(self.local_rank)
        try:
            with self._waiting("the other ranks to start"):
                dist.init_process_group(
                    "cpu:gloo,cuda:nccl" if on_gpu else "gloo", init_method=place.meeting, rank=self.rank, world_size=self.size,
                    timeout=PATIENCE,
                )  # fmt: skip
        except (RuntimeError, ValueError) as error:
            raise EnvironmentFault(f"rank {self.rank}: cannot meet the other ranks at {place.meeting}: {error}") from error
        self.must_match("parallel.strategy", self.strategy)
        name = socket.gethostname().encode()[:NAME].ljust(NAME, b"\0")
        self.hosts = [bytes(map(int, row)).rstrip(b"\0").decode("utf-8", "replace") for row in self.gather(list(name))]

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sums over the ranks, in fp64: counts stay exact."""
        if self.size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64)
        self._collective("the counts of the step", dist.all_reduce, summed)
        return summed.tolist()

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Every rank's numbers, in the order of the ranks."""
        if self.size == 1:
            return [list(numbers)]
        table = torch.zeros(self.size, len(numbers), dtype=torch.float64)
        table[self.rank] = torch.tensor(numbers, dtype=torch.float64)
        self._collective("the load of the ranks", dist.all_reduce, table)
        return table.tolist()

    def any_rank(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return self.total([float(flag)])[0] > 0

    def follow(self, value: T) -> T:
        """The first rank's value, JSON's kinds only; the others' own is ignored."""
        if self.size == 1:
            return value
        content = msgspec.json.encode(value) if self.is_first else b""
        head = bytearray((len(content).to_bytes(8, "big") + content)[:SHORT].ljust(SHORT, b"\0"))
        self._collective("the first rank", dist.broadcast, torch.frombuffer(head, dtype=torch.uint8), 0)
        length, rest = int.from_bytes(head[:8], "big"), bytearray(content[SHORT - 8 :])
        if length > SHORT - 8:  # most values fit the first piece, and a step asks several times
            rest = rest or bytearray(length - SHORT + 8)
            self._collective("the first rank", dist.broadcast, torch.frombuffer(rest, dtype=torch.uint8), 0)
        return value if self.is_first else msgspec.json.decode(bytes(head[8 : 8 + length]) + bytes(rest))

    def must_match(self, what: str, value: Any) -> None:
        """Raise RunError on a rank whose `value` is not the first one's."""
        if (expected := self.follow(value)) != value:
            here = f"rank {self.rank} on {socket.gethostname()}"
            raise RunError(f"{here}: {what} is not what it is on rank 0: {value!r}, there {expected!r}; give every machine the same")

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite `tensors` with the first rank's."""
        if self.size > 1:
            for tensor in tensors:
                self._collective("the first rank's tensors", dist.broadcast, tensor, 0)

    def add_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Every rank gets the sum of all ranks' gradients; a rank without one adds zeros."""
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self._collective("the gradients of the step", dist.all_reduce, flat)
        pieces = flat.split([parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

    @contextlib.contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Out of memory in one rank's body is raised as OutOfMemoryEverywhere in every rank, before anyone waits for its gradients.

        Sharded ranks wait for each other inside the body, so there it ends the run instead. Raises EnvironmentFault then.
        """
        if self.size == 1:
            yield
            return
        failed = ""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            failed = out_of_memory_words(error)
        if failed and self.is_sharded:
            raise EnvironmentFault(
                f"rank {self.rank}: out of memory ({failed}); ranks with sharded weights cannot take the step again: lower "
                "train.batch_size and raise train.gradient_accumulation_steps by the same factor, then resume"
            )
        if self.any_rank(bool(failed)):
            raise OutOfMemoryEverywhere(failed or "another rank ran out of memory")

    def together(self, work: Callable[[], T]) -> T:
        """`work`, in which ranks may wait for each other, so that one that runs out of memory alone ends the run.

        Raises EnvironmentFault then; what every rank knows of, OutOfMemoryEverywhere, is left as it is.
        """
        try:
            return work()
        except OutOfMemoryEverywhere:
            raise
        except (RuntimeError, MemoryError) as error:
            if self.size == 1:
                raise
            words = out_of_memory_words(error)
        raise EnvironmentFault(
            f"rank {self.rank}: out of memory ({words}) where the others wait for it; lower train.batch_size, then resume"
        )

    def one_by_one(self, work: Callable[[], T]) -> T:
        """`work` by the first rank of each machine, then by the others, which find done what it has done (a download)."""
        if self.size == 1:
            return work()
        result = work() if self.local_rank == 0 else None
        self.total([0.0])
        return result if self.local_rank == 0 else work()  # type: ignore[return-value]

    def take_waited_s(self) -> float:
        """Seconds this rank has waited for the others since the last call."""
        waited, self._waited_s = self._waited_s, 0.0
        return waited

    def _collective(self, what: str, call: Callable[..., Any], *arguments: Any) -> None:
        began = time.perf_counter()
        with self._waiting(what):
            try:
                call(*arguments)
                if arguments and isinstance(arguments[0], Tensor) and arguments[0].is_cuda:
                    torch.cuda.current_stream().synchronize()  # so that waiting shows as waiting
            except RuntimeError as error:
                raise PeerLost(f"rank {self.rank}: lost the other ranks while waiting for {what}: {error}") from error
        self._waited_s += time.perf_counter() - began

    def _waiting(self, what: str) -> contextlib.AbstractContextManager[None]:
        return self._pulse.waiting(what) if self._pulse else contextlib.nullcontext()


ALONE = Ranks()
"""A run of one process."""

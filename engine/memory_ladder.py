"""What a run gives up when memory runs out: nothing that changes its result, one rung at a time, each told.

Micro-batches are halved first, then activations are recomputed, then the loss is computed in smaller pieces, and last the inputs of
layers go to the host's memory. All leave the step's gradient as it is, up to the order of additions. Shorter examples or 4-bit weights
change the result, so they are offered (`engine.ways_out`) and not taken.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

from data.counted import counted
from engine.checkpoint import TrainingState
from engine.errors import EnvironmentFault
from engine.fitting import SMALL_CHUNK_BYTES
from engine.loading import LoadedModel
from engine.out_of_memory import out_of_memory_words
from engine.train_step import Updater

T = TypeVar("T")


class MemoryLadder:
    """Where the run stands on it. batch_size: rows in a micro-batch now."""

    def __init__(
        self, batch_size: int, checkpointing: str, warn: Callable[[str, str], None], ways_out: Callable[[], str]
    ):
        """checkpointing: as configured; "off" means that it is never taken, only offered.  ways_out: what is offered in the end."""
        self.batch_size = batch_size
        self._may_checkpoint, self._warn, self._ways_out = checkpointing != "off", warn, ways_out

    def fit(self, model: LoadedModel, updater: Updater, work: Callable[[int], T]) -> T:
        """`work(batch_size)`, from its start again on the next rung whenever memory runs out. Raises EnvironmentFault."""
        while True:
            try:
                return work(self.batch_size)
            except (RuntimeError, MemoryError) as error:
                seen = out_of_memory_words(error)
            # Outside the except: its traceback would keep the failed step's tensors alive.
            updater.clear()
            self.step_down(model, seen)

    def spare(self, what: str, work: Callable[[], T]) -> T | None:
        """`work`, or a warning and None where memory runs out: what only watches must not end the training."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            seen = out_of_memory_words(error)
        torch.cuda.empty_cache()
        self._tell(f"{what} is left out ({seen})")
        return None

    def step_down(self, model: LoadedModel, seen: str) -> None:
        """Take the next rung, or raise EnvironmentFault with what is left to choose. seen: the allocator's words."""
        torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size = max(1, self.batch_size // 2)
            self._tell(f"micro-batches are now {counted(self.batch_size, 'row', 'rows')}; the effective batch stays the same")
        elif self.has_rungs(model):
            model.recompute(model.num_layers)
            self._tell("activations of all layers are now recomputed in backward: the same result, up to a third slower")
        elif model.chunk_bytes is None:
            model.chunk_bytes = SMALL_CHUNK_BYTES
            self._tell("the loss is now computed in smaller pieces")
        elif self._may_checkpoint and model.can_offload and not model.offloads_inputs:
            model.offload()
            self._tell("the inputs of all layers now wait in the host's memory: the same result, slower by their way there and back")
        else:
            raise EnvironmentFault(f"out of memory with one row in a micro-batch ({seen}); what is left to choose: {self._ways_out()}")

    def has_rungs(self, model: LoadedModel) -> bool:
        """Whether anything can be given up yet."""
        return self.batch_size > 1 or (self._may_checkpoint and not self.recomputes(model))

    def recomputes(self, model: LoadedModel) -> bool:
        """Whether the activations of all layers are recomputed in backward."""
        return model.recomputed_layers == model.num_layers

    def go_back_to(self, model: LoadedModel, saved: TrainingState) -> None:
        """Stand where a saved run stood, so that it splits its steps alike."""
        self.batch_size = saved.batch_size or self.batch_size
        model.chunk_bytes = saved.chunk_bytes
        if saved.recomputes_activations and not self.recomputes(model):
            model.recompute(model.num_layers)
        if saved.offloads_inputs and model.can_offload:
            model.offload()

    def _tell(self, text: str) -> None:
        self._warn("out_of_memory", f"out of memory: {text}")

"""A run of several ranks goes on from a checkpoint: the first rank reads it, the others get it from there (they may have no such disk)."""

import msgspec
import torch
from peft import PeftModel

from engine.checkpoint import TrainingState, load_optimizer_tensors, optimizer_tensors
from engine.ranks import Ranks


def follow_state(ranks: Ranks, state: TrainingState | None) -> TrainingState | None:
    """The first rank's state, None where it begins anew."""
    if ranks.size == 1:
        return state
    found = ranks.follow(msgspec.to_builtins(state))
    return found and msgspec.convert(found, TrainingState)


def spread(ranks: Ranks, model: PeftModel, optimizer: torch.optim.Optimizer) -> None:
    """Give every rank the first one's adapter and optimiser state."""
    if ranks.size == 1:
        return
    ranks.copy([parameter.data for parameter in model.parameters() if parameter.requires_grad])
    own = optimizer_tensors(model, optimizer)
    layout = ranks.follow({name: [list(t.shape), str(t.dtype).removeprefix("torch.")] for name, t in own.items()})
    empty = {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, (shape, kind) in layout.items()}
    tensors = own if ranks.is_first else empty
    ranks.copy(list(tensors.values()))
    if not ranks.is_first:
        device = next(parameter.device for parameter in model.parameters() if parameter.requires_grad)
        load_optimizer_tensors(model, optimizer, {name: tensor.to(device) for name, tensor in tensors.items()})

"""Tensors that live long, side by side in one block of memory.

Small tensors that are made while large temporaries come and go end up between them, and what is freed around them is then too narrow
for the next temporaries: on a CPU the heap of a run with recomputation grew by half as much again (docs/log.md).
"""

from collections.abc import Sequence

from torch import Tensor


def side_by_side(like: Sequence[Tensor]) -> list[Tensor]:
    """Zeroes of the shapes of `like`, which share type and device; one storage, but none is a view of another for autograd."""
    if not like:
        return []
    storage = like[0].new_zeros(sum(tensor.numel() for tensor in like)).untyped_storage()
    found, start = [], 0
    for tensor in like:
        found.append(tensor.new_empty(0).set_(storage, start, tensor.shape))
        start += tensor.numel()
    return found

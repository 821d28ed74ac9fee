"""The frozen base in pieces over the ranks (FSDP2), a decoder layer at a time; the adapters stay whole on every rank.

So gradients, optimiser and checkpoints are those of plain data parallelism: nothing has to be gathered to be saved, and a run
resumes under any number of ranks or another strategy. Whole adapters cost 16 bytes a parameter (0.5 GiB for Qwen3-4B, r = 16);
embeddings and head stay whole too, because the loss needs the head whole at the moment when memory is tightest.
"""

from typing import Any

import torch
from peft import PeftModel

from engine.errors import EnvironmentFault
from engine.ranks import Ranks


def shard_base(model: PeftModel, device: torch.device, ranks: Ranks) -> None:
    """Lay `model`, loaded on the CPU, in pieces onto the ranks' devices: never more than one whole layer on a device.

    Raises EnvironmentFault for a PyTorch that cannot leave the adapters out.
    """
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise EnvironmentFault("parallel.strategy = 'fsdp2' needs PyTorch 2.7 or newer; install it, or use 'ddp'") from error
    mesh = init_device_mesh(device.type, (ranks.size,))
    decoder: Any = model.get_base_model().get_decoder()
    for layer in decoder.layers:
        adapters = {parameter for parameter in layer.parameters() if parameter.requires_grad}
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=adapters)
    # What is outside the layers stays whole; this call only makes the decoder the root that orders its layers' gathering.
    fully_shard(decoder, mesh=mesh, ignored_params={p for p in decoder.parameters() if not _is_sharded(p)})
    model.to(device)


def _is_sharded(parameter: torch.nn.Parameter) -> bool:
    return hasattr(parameter, "to_local")

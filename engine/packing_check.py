"""Whether a model keeps packed examples apart: measured once after it is loaded, because no list of families would ever be complete.

Attention is kept apart by `engine.attention`, if the model takes its attention from transformers' interface. What mixes tokens by
other means (convolutions, recurrent states) or drops the arguments on the way lets an example see the one before it.
"""

import torch

from engine.loading import LoadedModel

ONE_EXAMPLE = 1
"""Most tokens of a piece of a micro-batch where examples must pass alone: one longer example is always let through."""
TOKENS = 12
FIRST = 4
"""Tokens of the second example that are compared: alone they see hardly anything, so that whatever leaks is most of what they see."""
TOLERANCE = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.1}
"""Relative difference that rounding explains; a leak changes these states beyond recognition."""


@torch.no_grad()
def leaks(model: LoadedModel) -> bool:
    """Whether the second of two examples in a row has other states than alone."""
    model.peft.eval()
    try:
        ids = (torch.arange(1, 2 * TOKENS + 1, device=model.device) * 7919 % model.vocabulary)[None]
        positions = torch.arange(TOKENS, device=model.device)
        rows = positions[:FIRST]
        packed = model.hidden(ids, positions.repeat(2)[None], (TOKENS, TOKENS), TOKENS + rows).float()
        alone = model.hidden(ids[:, TOKENS:], positions[None], (TOKENS,), rows).float()
    finally:
        model.peft.train()
    return bool(((packed - alone).norm(dim=1) > TOLERANCE[model.precision] * alone.norm(dim=1)).any())

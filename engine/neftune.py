"""NEFTune: uniform noise on the embeddings of training examples (Jain et al. 2023, arXiv 2310.05914).

Drawn from the random state that a step is seeded with, so it is a function of seed and step, like dropout.
"""

import torch
from torch import Tensor


def with_noise(states: Tensor, lengths: tuple[int, ...], alpha: float) -> Tensor:
    """`states` with noise within ± alpha / sqrt(tokens of the example × D).  states: (T, D) of examples of `lengths` tokens."""
    tokens = torch.tensor(lengths, device=states.device)
    reach = alpha * (tokens * states.shape[1]).float().rsqrt()
    reach = torch.repeat_interleave(reach, tokens, output_size=len(states))[:, None].to(states.dtype)
    return torch.addcmul(states, torch.empty_like(states).uniform_(-1, 1), reach)

"""The learning rate of a step, as a pure function; so a resumed run needs no scheduler state."""

import math


def learning_rate(step: int, max_steps: int, peak: float, scheduler: str, warmup_ratio: float) -> float:
    """The rate used in `step` (1-based): linear warm-up over ceil(warmup_ratio * max_steps) steps, then cosine or linear to 0, or constant.

    The first step already learns, and the last one still does: the decay reaches 0 one step after it.
    """
    warmup = math.ceil(warmup_ratio * max_steps)
    if step <= warmup:
        return peak * step / warmup
    if scheduler == "constant":
        return peak
    progress = (step - 1 - warmup) / max(1, max_steps - warmup)
    if scheduler == "linear":
        return peak * (1 - progress)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))

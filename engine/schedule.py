"""The learning rate of a step, as a pure function; so a resumed run needs no scheduler state."""

import math

from engine.config import Train


def learning_rate(step: int, max_steps: int, train: Train) -> float:
    """The rate used in `step` (1-based): linear warm-up over ceil(warmup_ratio * max_steps) steps, then the course of train.scheduler.

    cosine and linear fall to 0.  constant stays, and so does everything under schedule_free, whose average does a decay's work.
    wsd stays and falls over the last ceil(decay_ratio * max_steps) steps by 1 - sqrt (Hägele et al. 2024, arXiv 2405.18392).
    The first step already learns, and the last one still does: the decay reaches 0 one step after it.
    """
    warmup = math.ceil(train.warmup_ratio * max_steps)
    if step <= warmup:
        return train.learning_rate * step / warmup
    scheduler = "constant" if train.optimizer == "schedule_free" else train.scheduler
    decay = max_steps - warmup
    if scheduler == "wsd":
        decay = min(decay, math.ceil(train.decay_ratio * max_steps))
    progress = max(0.0, (step - 1 - (max_steps - decay)) / decay)
    return train.learning_rate * _share_left(scheduler, progress)


def _share_left(scheduler: str, progress: float) -> float:
    """Of the peak. progress: 0 where the decay begins, 1 where it has ended."""
    match scheduler:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "wsd":
            return 1 - math.sqrt(progress)
    return 0.5 * (1 + math.cos(math.pi * progress))

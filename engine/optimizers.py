"""The optimiser of a run and its parameter groups. Not here: the rate of a step (`engine.schedule`), clipping (`engine.train_step`)."""

from typing import Any

import torch
from torch import Tensor

from engine.config import Train
from engine.errors import EnvironmentFault
from engine.schedule_free import ScheduleFreeAdamW


def build_optimizer(trainable: dict[str, Tensor], train: Train, plus_ratio: float) -> torch.optim.Optimizer:
    """The optimiser that `train` names over the parameters by name. Raises EnvironmentFault where it cannot run here."""
    groups = parameter_groups(trainable, plus_ratio)
    common = {"lr": train.learning_rate, "weight_decay": train.weight_decay}
    match train.optimizer:
        case "adamw_8bit":
            return _adamw_8bit(groups, common)
        case "schedule_free":
            return ScheduleFreeAdamW(groups, **common)
        case "muon":
            if not hasattr(torch.optim, "Muon"):
                raise EnvironmentFault(f"train.optimizer = 'muon' needs PyTorch 2.9 or newer, this is {torch.__version__}; use 'adamw'")
            # Scaled so that its steps are as large as AdamW's, which makes AdamW's learning rates good ones here (arXiv 2502.16982).
            return torch.optim.Muon(groups, **common, adjust_lr_fn="match_rms_adamw")
    return torch.optim.AdamW(groups, **common, fused=True)


def parameter_groups(trainable: dict[str, Tensor], plus_ratio: float) -> list[dict[str, Any]]:
    """One group, or LoRA+'s two (arXiv 2402.12354), of which B and DoRA's magnitudes learn faster: `lr_ratio` times the step's rate."""
    fast = [parameter for name, parameter in trainable.items() if "lora_B" in name or parameter.ndim == 1]
    if plus_ratio == 1:
        return [{"params": list(trainable.values()), "lr_ratio": 1.0}]
    chosen = {id(parameter) for parameter in fast}
    slow = [parameter for parameter in trainable.values() if id(parameter) not in chosen]
    return [{"params": slow, "lr_ratio": 1.0}, {"params": fast, "lr_ratio": plus_ratio}]


def _adamw_8bit(groups: list[dict[str, Any]], common: dict[str, float]) -> torch.optim.Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise EnvironmentFault("train.optimizer = 'adamw_8bit' needs bitsandbytes; install it with: pip install bitsandbytes") from error
    return AdamW8bit(groups, **common)

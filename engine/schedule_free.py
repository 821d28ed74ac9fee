"""AdamW that needs no schedule and no known end: the average of its steps is the result (Defazio et al. 2024, arXiv 2405.15682).

Three points: z takes Adam's steps without momentum; x is the average of all z, each weighted by the square of its rate; gradients
are taken at y, between the two. y follows from x and z, so going to x and back (to evaluate, sample or save) changes no bit.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-8


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """Parameters hold y in training and x between `take_average` and `take_training_point`. State: x, z, second moment, three numbers."""

    def __init__(self, parameters: Iterable[Any], lr: float, weight_decay: float):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] - nothing here evaluates a loss again
        """One step of every parameter with a gradient."""
        for group in self.param_groups:
            if parameters := [parameter for parameter in group["params"] if parameter.grad is not None]:
                self._step(group, parameters)

    def take_average(self) -> None:
        """Parameters become x, the weights that are the result so far."""
        for parameter, state in self.state.items():
            parameter.data.copy_(state["x"])

    def take_training_point(self) -> None:
        """Parameters become y again, from which training goes on."""
        for parameter, state in self.state.items():
            parameter.data.copy_(torch.lerp(state["x"], state["z"], 1 - BETAS[0]))

    def _step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        states = [self._state_of(parameter) for parameter in parameters]
        number, largest, total = states[0]["number"] + 1, states[0]["largest"], states[0]["total"]
        rate = group["lr"] * math.sqrt(1 - BETAS[1] ** number)
        largest = max(largest, rate)
        total += largest**2
        self._move([parameter.grad for parameter in parameters], parameters, states, rate, group["weight_decay"], largest**2 / total)
        for state in states:
            state.update(number=number, largest=largest, total=total)

    def _move(
        self, gradients: list[Any], parameters: list[Tensor], states: list[dict[str, Any]], rate: float, decay: float, weight: float
    ) -> None:
        """z by Adam's step with decay at y, x towards z by `weight`, y between them."""
        x, z, squares = ([state[name] for state in states] for name in ("x", "z", "squares"))
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, EPS)
        if decay:
            torch._foreach_add_(z, parameters, alpha=-rate * decay)
        torch._foreach_addcdiv_(z, gradients, roots, -rate)
        torch._foreach_lerp_(x, z, weight)
        for parameter, average, point in zip(parameters, x, z, strict=True):
            parameter.copy_(torch.lerp(average, point, 1 - BETAS[0]))

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state = self.state[parameter]
        if not state:
            state.update(x=parameter.clone(), z=parameter.clone(), squares=torch.zeros_like(parameter), number=0, largest=0.0, total=0.0)
        return state

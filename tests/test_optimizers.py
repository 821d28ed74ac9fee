"""Optimisers: their steps against the published ones, what they keep, and that what they keep survives a checkpoint bit for bit."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from engine.checkpoint import load_optimizer_tensors, optimizer_tensors
from engine.config import Train
from engine.config_file import find_field
from engine.forecast import OPTIMIZER_BYTES
from engine.optimizers import build_optimizer
from engine.schedule_free import ScheduleFreeAdamW
from engine.train_step import Updater

NAMES = ("adamw", "adamw_8bit", "schedule_free", "muon")
TABLE = 256
"""Elements of the largest table that an optimiser keeps beside its state: the codes of 8 bits."""
LARGE = 512
"""A rank from which on every adapter here has the 4,096 weights that bitsandbytes wants before it keeps 8 bits."""


class Small(nn.Module):
    """Two linear layers with adapters."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(12, 20), nn.Linear(20, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.v_proj(torch.tanh(self.q_proj(x)))


def small(rank: int = 4):
    torch.manual_seed(0)
    model = get_peft_model(Small(), LoraConfig(r=rank, lora_alpha=rank, target_modules=["q_proj", "v_proj"]))
    return model, {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def take_steps(model, updater: Updater, first: int, last: int) -> None:
    for step in range(first, last + 1):
        x = torch.randn(16, 12, generator=torch.Generator().manual_seed(step))
        (model(x) - x[:, :8]).square().mean().backward()
        updater.apply(1e-2)


def updater_of(trainable, optimizer: str, **train: object) -> Updater:
    settings = Train(optimizer=optimizer, **train)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Updater(list(trainable.values()), build_optimizer(trainable, settings, plus_ratio=2.0), scaler, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_through_a_checkpoint_without_losing_a_bit(name):
    """Five steps, saved and loaded into a fresh optimiser, and five more are ten steps."""
    whole, trainable = small(LARGE)
    take_steps(whole, updater_of(trainable, name, weight_decay=0.1), 1, 10)
    model, trainable = small(LARGE)
    first = updater_of(trainable, name, weight_decay=0.1)
    take_steps(model, first, 1, 5)
    second = updater_of(trainable, name, weight_decay=0.1)
    with first.judged():
        load_optimizer_tensors(model, second.optimizer, {key: t.clone() for key, t in optimizer_tensors(model, first.optimizer).items()})
    second.back_to_training()
    take_steps(model, second, 6, 10)

    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_forecast_knows_what_an_optimiser_keeps(name):
    """Bytes a trained weight, numbers and tables beside its state left out."""
    model, trainable = small(LARGE)
    updater = updater_of(trainable, name)
    take_steps(model, updater, 1, 1)
    kept = sum(tensor.nbytes for tensor in optimizer_tensors(model, updater.optimizer).values() if tensor.numel() > TABLE)

    assert kept == OPTIMIZER_BYTES[name] * sum(parameter.numel() for parameter in trainable.values())
    assert set(OPTIMIZER_BYTES) == set(find_field("train.optimizer").choices)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_schedule_free_steps_are_those_of_its_paper(decay):
    """Algorithm 1 of arXiv 2405.15682 written out in double precision, with a warm-up of the rate."""
    rates = [0.25e-1, 0.5e-1, 1e-1, 1e-1, 1e-1]
    point = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    parameter = nn.Parameter(point.clone())
    optimizer = ScheduleFreeAdamW([parameter], lr=0.0, weight_decay=decay)
    x, z, y, squares, weights = point.clone(), point.clone(), point.clone(), torch.zeros(3, dtype=torch.float64), 0.0
    for number, rate in enumerate(rates, 1):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = 2 * parameter.detach() + 1
        optimizer.step()
        gradient, corrected = 2 * y + 1, rate * math.sqrt(1 - 0.999**number)
        squares = 0.999 * squares + 0.001 * gradient**2
        z = z - corrected * gradient / (squares.sqrt() + 1e-8) - corrected * decay * y
        weights += corrected**2  # the rate never falls here, so the largest so far is the present one
        x = x + corrected**2 / weights * (z - x)
        y = 0.1 * z + 0.9 * x

        torch.testing.assert_close(parameter.detach(), y, rtol=1e-12, atol=0)
    optimizer.take_average()

    torch.testing.assert_close(parameter.detach(), x, rtol=1e-12, atol=0)


def test_looking_at_the_average_changes_no_bit():
    """Evaluation between steps goes to the average and comes back to exactly where training was."""
    model, trainable = small()
    updater = updater_of(trainable, "schedule_free")
    with updater.judged():  # before the first step there is nothing to average
        pass
    take_steps(model, updater, 1, 3)
    before = [parameter.detach().clone() for parameter in trainable.values()]
    with updater.judged():
        inside = [parameter.detach().clone() for parameter in trainable.values()]

    assert all(torch.equal(parameter, old) for parameter, old in zip(trainable.values(), before, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(inside, before, strict=True))

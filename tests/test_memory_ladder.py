"""What a run gives up when memory runs out, rung by rung."""

import pytest
import torch

from engine.checkpoint import TrainingState
from engine.errors import EnvironmentFault
from engine.memory_ladder import MemoryLadder
from tests.saved_tensors import trained_model

ALL = ["micro-batches", "activations", "the loss", "the inputs"]


def _descent(checkpointing: str, device: str) -> list[str]:
    """How each rung's message begins, and after them what is offered."""
    told: list[str] = []
    ladder = MemoryLadder(2, checkpointing, lambda code, text: told.append(text.partition(": ")[2]), lambda: "a smaller model")
    model, _ = trained_model("qwen3", 2, "fp32")
    model.device = torch.device(device)
    with pytest.raises(EnvironmentFault, match="a smaller model"):
        for _ in range(9):
            ladder.step_down(model, "seen")
    return [next(rung for rung in ALL if text.startswith(rung)) for text in told]


@pytest.mark.parametrize(("device", "rungs"), [("cpu", ALL[:3]), ("cuda", ALL)])
def test_what_costs_least_goes_first(device, rungs):
    """On a CPU the inputs of layers have nowhere else to go."""
    assert _descent("auto", device) == rungs


def test_recomputation_that_was_forbidden_is_never_taken():
    assert _descent("off", "cuda") == ["micro-batches", "the loss"]


def test_a_resumed_run_stands_where_it_stood():
    """So that it splits its steps alike and does not run out of memory again first."""
    ladder = MemoryLadder(4, "auto", lambda code, text: None, lambda: "")
    model, _ = trained_model("qwen3", 2, "fp32")
    model.device = torch.device("cuda")
    saved = TrainingState(3, 0, 0, {}, {}, "bf16", "cuda", batch_size=1, recomputes_activations=True, offloads_inputs=True)
    ladder.go_back_to(model, saved)

    assert (ladder.batch_size, model.recomputed_layers, model.offloads_inputs) == (1, 2, True)

"""training.log: what a person finds in it who reads it with `less`."""

from engine import events
from engine.training_log import line_of

PLAN = events.Plan(
    max_steps=8, steps_per_epoch=8, device="CPU, 2 threads", precision="fp32", precision_reason="as configured",
    gradient_checkpointing=True, trainable_parameters=9, total_parameters=99, recomputed_layers=22,
)  # fmt: skip


def test_the_plan_tells_how_many_layers_recompute():
    """It decides speed and memory; a run that recomputes none says nothing of it."""
    none = events.Plan(**{name: getattr(PLAN, name) for name in PLAN.__struct_fields__} | {"recomputed_layers": 0})

    assert "22 layers" in line_of(PLAN) and "layers" not in line_of(none)

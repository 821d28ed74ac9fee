"""The memory forecast, held against the field's figures and against what autograd really keeps."""

import json

import pytest

from engine import activations
from engine import forecast as forecasting
from engine.forecast import Workload, forecast
from engine.model_shape import ModelShape
from engine.model_source import REFERENCE_CONFIGS

QWEN = ModelShape.from_config(json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))["Qwen3-4B"])
REFERENCE = {"tokens": 2 * 1024, "precision": "bf16", "gradient_checkpointing": True, "on_gpu": True}


@pytest.mark.parametrize(
    ("quantization", "weights", "peak"), [("none", 7.49, 9.0), ("nf4", 2.47, 4.1)], ids=["bf16", "nf4"]
)  # fmt: skip
def test_qwen3_4b_is_forecast_as_the_field_found_it(quantization, weights, peak):
    """Base weights, adapters with Adam, kept inputs and the peak before the CUDA context, in GiB."""
    found = forecast(QWEN, Workload(**REFERENCE, quantization=quantization))

    assert found.weights == pytest.approx(weights, rel=0.01)
    assert found.adapters + found.gradients + found.optimizer == pytest.approx(0.49, rel=0.02)
    assert found.activations == pytest.approx(0.35, rel=0.02)
    assert found.peak - found.runtime == pytest.approx(peak, rel=0.07)


def test_components_add_up_to_the_peak():
    """What a screen shows as bars is the whole."""
    found = forecast(QWEN, Workload(**REFERENCE))

    assert sum(found.components.values()) == pytest.approx(found.peak)


def test_checkpointing_dropout_and_length_move_memory_the_right_way():
    """More is kept without checkpointing, with dropout and with longer rows."""
    plain = forecast(QWEN, Workload(**REFERENCE)).peak
    kept = forecast(QWEN, Workload(**REFERENCE | {"gradient_checkpointing": False}))

    assert kept.peak > plain
    assert forecast(QWEN, Workload(**REFERENCE | {"gradient_checkpointing": False}, dropout=0.1)).peak > kept.peak
    assert forecast(QWEN, Workload(**REFERENCE | {"tokens": 4096})).peak > plain


def test_the_chunk_of_logits_is_the_engines():
    """The forecast repeats a constant of a module that needs torch."""
    loss = pytest.importorskip("engine.loss")

    assert loss.CHUNK_BYTES == forecasting.CHUNK_BYTES


@pytest.mark.parametrize(("dropout", "path"), [(0.0, "fused"), (0.0, "plain"), (0.1, "plain")])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_a_layer_keeps_what_autograd_keeps(family, precision, dropout, path):
    """Bytes of the distinct tensors a layer saves for its backward in the engine's own forward, to 8 %."""
    pytest.importorskip("torch")
    from tests.saved_tensors import saved_bytes_of_a_layer

    measured, shape, tokens = saved_bytes_of_a_layer(family, precision, dropout, path == "fused")
    kept = activations.kept_bytes(shape, precision, 16, "all-linear", dropout, on_gpu=False, fused=path == "fused")

    assert tokens * kept == pytest.approx(measured, rel=0.08)


@pytest.mark.parametrize(("family", "dropout", "fused"), [("qwen3", 0.0, True), ("llama", 0.0, True), ("llama", 0.1, False)])
def test_the_forecast_takes_the_engines_path(family, dropout, fused):
    """What the console foretells from config.json is what the engine decides with the model in hand."""
    pytest.importorskip("torch")
    from tests.saved_tensors import trained_model

    model, shape = trained_model(family, 2, "fp32", dropout)

    assert (model.fused is not None) is fused is activations.runs_fused(shape, dropout, "none")

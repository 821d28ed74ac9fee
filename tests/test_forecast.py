"""The memory forecast, held against the field's figures and against what autograd really keeps."""

import json

import pytest

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
    assert found.adapters == pytest.approx(0.49, rel=0.02)
    assert found.activations == pytest.approx(0.35, rel=0.02)
    assert found.peak - found.runtime == pytest.approx(peak, rel=0.07)


@pytest.mark.parametrize(
    ("tokens", "checkpointing", "peak"), [(1024, True, 2.36), (1024, False, 3.62), (2048, True, 3.35), (2048, False, 6.23)]
)  # fmt: skip
def test_the_demo_model_on_a_cpu_is_forecast_as_measured(tokens, checkpointing, peak):
    """Peak resident memory of two steps of SmolLM2-135M in fp32 on 2 cores, in GiB, to 12 %."""
    shape = ModelShape.from_config(json.loads(REFERENCE_CONFIGS.read_text(encoding="utf-8"))["SmolLM2-135M-Instruct"])
    work = Workload(tokens=tokens, precision="fp32", gradient_checkpointing=checkpointing, on_gpu=False)

    assert forecast(shape, work).peak == pytest.approx(peak, rel=0.12)


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


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_a_layer_keeps_what_autograd_keeps(family, precision, dropout):
    """Bytes of the distinct tensors a layer saves for its backward in the engine's own forward, to 8 %."""
    pytest.importorskip("torch")
    from tests.saved_tensors import saved_bytes_of_a_layer

    measured, shape, tokens = saved_bytes_of_a_layer(family, precision, dropout)
    work = Workload(tokens=tokens, precision=precision, gradient_checkpointing=False, on_gpu=False, dropout=dropout)

    assert tokens * forecasting.saved_bytes_per_token(shape, work) == pytest.approx(measured, rel=0.08)

"""The compute type of a run: what a resumed run keeps, and what it does not take along to a device that cannot do it."""

import pytest
import torch

from engine import precision
from engine.host import Cpu
from engine.precision import choose_precision

GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture
def device_with(monkeypatch):
    """A device with or without bf16 units; what a real one has decides PyTorch and the kernel, so both are asked through stand-ins."""

    def change(has_bf16):
        instructions = ("AMX BF16",) if has_bf16 else ("AVX2",)
        rate = {torch.float32: 100.0, torch.bfloat16: 400.0 if has_bf16 else 0.3}
        monkeypatch.setattr(precision, "_gpu_has_bf16", lambda: has_bf16)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
        monkeypatch.setattr(precision.host, "read_cpu", lambda: Cpu(name="CPU", cores=2, threads=2, instructions=instructions))
        monkeypatch.setattr(precision, "_gemm_gflops", lambda dtype: rate[dtype])

    return change


@pytest.mark.parametrize(
    ("before", "device", "has_bf16", "chosen"),
    [
        ("bf16", GPU, True, "bf16"),
        ("bf16", GPU, False, "fp32"),
        ("bf16", CPU, False, "fp32"),
        ("fp32", CPU, True, "fp32"),
        ("fp32", GPU, True, "fp32"),
    ],
)
def test_a_resumed_run_keeps_its_type_but_for_bf16_that_would_be_emulated(device_with, before, device, has_bf16, chosen):
    """The same type goes on bit for bit; bf16 on a T4 or on a plain CPU is up to 400 times slower, so it is chosen anew."""
    device_with(has_bf16)

    assert choose_precision("auto", device, "qwen3", before)[0] == chosen


def test_a_type_asked_for_wins_over_the_one_before(device_with):
    """A person who sets model.precision on resuming gets it."""
    device_with(True)

    assert choose_precision("fp32", GPU, "qwen3", "bf16") == ("fp32", "as configured")

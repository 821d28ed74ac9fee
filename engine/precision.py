"""The compute type this hardware really does well: asked of the GPU, measured on a CPU."""

import time

import torch

from engine import host
from engine.errors import EnvironmentFault
from engine.plan import FP16_OVERFLOWS

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def choose_precision(asked: str, device: torch.device, model_type: str, before: str = "") -> tuple[str, str]:
    """Name of the compute type and one sentence why.

    before: what a resumed run computed in on such a device; it is kept, because a CPU's measurement may come out otherwise another
    time, but for bf16 where this device would only emulate it.
    Raises EnvironmentFault where an asked type would silently give NaN (fp16 for a family that overflows) or is not there.
    """
    if asked == "fp16" and model_type.startswith(FP16_OVERFLOWS):
        raise EnvironmentFault(f"model.precision = 'fp16': {model_type} models overflow in fp16 and give NaN; use 'auto', 'bf16' or 'fp32'")
    if asked == "bf16" and device.type == "cuda" and not _gpu_has_bf16():
        raise EnvironmentFault(f"model.precision = 'bf16': {torch.cuda.get_device_name()} has no bf16 units; use 'auto'")
    if asked != "auto":
        return asked, "as configured"
    if before and (before != "bf16" or _has_bf16(device)):
        return before, "as before it was resumed"
    return _choose_on_gpu(model_type) if device.type == "cuda" else _choose_on_cpu()


def _choose_on_gpu(model_type: str) -> tuple[str, str]:
    name = torch.cuda.get_device_name()
    if _gpu_has_bf16():
        return "bf16", f"{name} has bf16 units"
    if model_type.startswith(FP16_OVERFLOWS):
        return "fp32", f"{name} has no bf16 units and {model_type} overflows in fp16"
    return "fp16", f"{name} has no bf16 units; fp16 with loss scaling and fp32 adapters"


def _has_bf16(device: torch.device) -> bool:
    return _gpu_has_bf16() if device.type == "cuda" else host.read_cpu().has_bf16


def _gpu_has_bf16() -> bool:
    return torch.cuda.is_bf16_supported(including_emulation=False)


def _choose_on_cpu() -> tuple[str, str]:
    fp32, bf16 = _gemm_gflops(torch.float32), _gemm_gflops(torch.bfloat16)
    rates = f"measured {bf16:.0f} GFLOP/s in bf16, {fp32:.0f} in fp32"
    return ("bf16", rates) if bf16 > 1.5 * fp32 else ("fp32", rates)


def _gemm_gflops(dtype: torch.dtype, size: int = 256, budget_s: float = 0.1) -> float:
    """Rate of the fastest of many square matrix products, so that a busy machine measures what an idle one does.

    A CPU without bf16 units is up to 400 times slower in bf16, so the first product alone may spend the budget.
    """
    a = torch.randn(size, size).to(dtype)
    fastest, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < budget_s:
        start = time.perf_counter()
        a @ a
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest / 1e9

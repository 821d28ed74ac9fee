"""Matrix products by precision and memory bandwidth of the device that would train, as one JSON line; run as a process of its own."""

import json
import time

import torch

from data.counted import counted

BUDGET_S = 0.25
"""For each precision; a CPU that emulates bf16 may spend it on one product."""
SIZES = {"cpu": 768, "cuda": 4096}
COPIED_BYTES = 256 << 20


def main() -> None:
    """Measure and print."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {counted(torch.get_num_threads(), 'thread', 'threads')}"
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    gflops = {kind: round(gemm_gflops(dtype, device), 1) for kind, dtype in kinds.items()}
    print(json.dumps({"device": name, "gflops": gflops, "memory_gbs": round(copy_gbs(device), 1)}))


def gemm_gflops(dtype: torch.dtype, device: torch.device) -> float:
    """Rate of the fastest of many square products, so that a busy machine measures what an idle one does."""
    size = SIZES[device.type]
    a = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / _fastest(lambda: a @ a, device) / 1e9


def copy_gbs(device: torch.device) -> float:
    """GB/s of a copy within the device's memory, both ways counted."""
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / _fastest(lambda: target.copy_(source), device) / 1e9


def _fastest(work, device: torch.device) -> float:
    fastest, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < BUDGET_S or fastest == float("inf"):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


if __name__ == "__main__":
    main()

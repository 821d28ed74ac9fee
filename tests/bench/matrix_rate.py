"""What bare matrix products reach on this machine: the ceiling no training loop gets over."""

import subprocess
import sys

PROGRAM = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[2]))
device = "cuda" if torch.cuda.is_available() else "cpu"
size = 8192 if device == "cuda" else 1024
a, b = (torch.randn(size, size, dtype=getattr(torch, sys.argv[1]), device=device) for _ in "ab")
best = 1e9
for _ in range(12):
    began = time.perf_counter()
    a @ b
    if device == "cuda":
        torch.cuda.synchronize()
    best = min(best, time.perf_counter() - began)
print(2 * size**3 / best / 1e9)
"""


def gflops(precision: str, threads: int) -> float:
    """The best of twelve square products, in a process of its own."""
    kind = {"fp32": "float32", "bf16": "bfloat16"}[precision]
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind, str(threads)], check=True, capture_output=True, text=True)
    return float(done.stdout)

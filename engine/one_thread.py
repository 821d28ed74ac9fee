"""GFLOP/s of one thread in fp32 matrix products, printed; run as a process of its own, because numpy's library asks how many threads it may
have when it is loaded. By CPU time, so that a busy machine measures what an idle one does."""

import time

import numpy as np

BUDGET_S = 0.15
SIZE = 512


def main() -> None:
    """Measure and print."""
    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    product = np.empty_like(a)
    fastest, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < BUDGET_S or fastest == float("inf"):
        start = time.thread_time()
        np.matmul(a, a, out=product)
        fastest = min(fastest, time.thread_time() - start)
    print(2 * SIZE**3 / fastest / 1e9)


if __name__ == "__main__":
    main()

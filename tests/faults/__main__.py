"""`python -m tests.faults [F1 F6 …] [--seed N] [--quick]`: put faults in and print what was lost; exit code 1 when anything was."""

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models gain nothing from threads
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # bit-equality is promised per machine; the CPU shows it everywhere
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("PYTHONWARNINGS", "ignore")

from tests.faults.bench import modules, run_faults


def main() -> int:
    """Parse the command line, run, report."""
    known = modules()
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults put into real runs, and what was lost by them.")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"which ones (default: {' '.join(known)})")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="draws the faults; printed, so that a loss can be repeated")
    parser.add_argument("--quick", action="store_true", help="the subset that make test runs")
    options = parser.parse_args()
    names = [name.upper() for name in options.faults] or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(known)}")
    return 0 if run_faults(names, options.seed, options.quick, lambda line: print(line, flush=True)) else 1


if __name__ == "__main__":
    sys.exit(main())

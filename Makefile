# Each target sets up all it needs, given Python 3.11 or newer and make; the rest goes into .venv.
#
#   make demo        watch the main job: a masked lookup, a restored address, an approved export, a denied leak
#   make test        every test, at most five minutes on two cores (REQUIRE_ALL=1: a skip is a failure; COVERAGE=1: branches counted)
#   make test-fast   the tests that take less than about two seconds each
#   make check       format, lint, types, layers, shipped policies, documentation, notebooks
#   make compiled    .venv-compiled: the package with its masking compiled (a few minutes, and a C compiler)
#   make test-compiled  the tests, against that
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
COMPILED := .venv-compiled
COMPILED_READY := $(COMPILED)/.installed
# Where the tests of the compiled package run: no source of the package stands there, so none is imported in its place.
APART := build/compiled
# A file's tests share what is costly to start; the order of files is that of tests/conftest.py.
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder

export AGENTGUARD_REQUIRE_ALL := $(REQUIRE_ALL)
# Whatever the environment says: else each worker and each process of a test compiles the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast check compiled test-compiled clean
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

compiled: $(COMPILED_READY)
	@rm -rf $(APART)/tree && mkdir -p $(APART)/tree
	@tar -c --exclude=__pycache__ benchmarks docs notebooks tests tool_policies .gitignore Makefile *.md pyproject.toml | tar -x -C $(APART)/tree

test-compiled: compiled
	@cd $(APART)/tree && ALL_COMPILED=1 $(CURDIR)/$(COMPILED)/bin/python -m pytest $(SPREAD) --ignore tests/test_project.py

# Made again when a source changes: what runs there is never older than what is written here.
$(COMPILED_READY): $(READY) $(shell find agentguard tool_policies -name '*.py' -o -name '*.yaml' -o -name '*.lua')
	@echo "Compiling agentguard into $(COMPILED) (a few minutes)"
	@rm -rf $(COMPILED) $(APART)
	@$(BIN)/python -m hatchling build -t sdist -d $(APART)
	@$(BIN)/python -m venv $(COMPILED)
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check \
		"$$(echo $(APART)/agentguard-*.tar.gz)[dev]"
	@touch $@

clean:
	rm -rf $(VENV) $(COMPILED) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
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

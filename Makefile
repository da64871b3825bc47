# Everything a clone needs: each target makes the environment it uses by itself.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-core check format test test-fast test-core demo clean distclean

PY := .venv/bin/python
PYCORE := .venv-core/bin/python
# Two workers halve the time on two cores. All of Lava runs on one of them, see tests/conftest.py.
PYTEST := -m pytest -n 2 --dist loadgroup
PYTEST_ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv: Python 3.10, Lava, all versions fixed (done by the others when needed)
	@scripts/setup full

setup-core: ## make .venv-core: Python 3.11 or newer, without Lava
	@scripts/setup core

check: setup ## format, lint and types; changes nothing
	@$(PY) -m ruff format --check --quiet . || { echo "not formatted: make format"; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy -p sfx -m sfx_loihi

format: setup ## format the code and apply the safe lint fixes
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

test: check ## check, then all tests; the summary of pytest comes last
	@SFX_REQUIRE=torch,lava $(PY) $(PYTEST) $(PYTEST_ARGS)

test-fast: setup ## the tests that are not marked slow, without check
	@SFX_REQUIRE=torch,lava $(PY) $(PYTEST) -m "not slow" $(PYTEST_ARGS)

# The slow tests are about the size of nets and about Lava: nothing in them depends on the Python
# (that newer torch traces every published model is tests/unit/frontends).
test-core: setup-core ## the tests that need no Lava and are not slow, on Python 3.11 or newer
	@SFX_REQUIRE=torch $(PYCORE) $(PYTEST) -m "not slow and not needs_lava" $(PYTEST_ARGS)

demo: setup ## compile, verify and run a trained Spikeformer, with its reports
	@$(PY) examples/spikeformer/demo.py

clean: ## remove caches and build output
	@rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove the environments
	@rm -rf .venv .venv-core

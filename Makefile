# The README's two commands are `make demo` and `make test`; both set up what they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# How many processes share the tests on real control planes; each waits for some of its time.
WORKERS ?= auto
# Folders of the tests that are pure.
PURE := tests/api tests/kit tests/rendering tests/kulta/core tests/hub/core tests/stories

# Without compiled files of its own, every start of Python would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help parts demo test check lint types pure pure-stories pure-rest runtimes cover check-deep mutants bench bench-peers format clean binaries

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

binaries: $(READY)  ## find or build the real parts: control plane, Prometheus, kwok (cached)
	@$(BIN)/python -m e2e.ground.binaries

parts: $(READY)
	@$(BIN)/python -m e2e.ground.binaries all

demo: binaries  ## one change through a hub and three clusters, with a bad version that takes itself back
	@$(BIN)/python -m e2e.demo

test: check parts  ## everything: lint, types, contracts, pure tests, runtimes, real control planes
	@$(BIN)/python -m pytest e2e --numprocesses $(WORKERS)

check: $(READY)  ## lint, types, import contracts, all tests without a cluster (seconds)
	@$(MAKE) --no-print-directory --jobs 5 --output-sync lint types pure-stories pure-rest runtimes

lint: $(READY)
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .

types: $(READY)
	@$(BIN)/mypy --no-error-summary

# Two halves that take equally long: workers of one run would each collect everything.
pure: $(READY)  ## what needs no socket, no process and no real time: seconds
	@$(MAKE) --no-print-directory --jobs 2 --output-sync pure-stories pure-rest

pure-stories: $(READY)
	@$(BIN)/python -m pytest tests/stories/test_engine_* tests/kulta/core/analysis --quiet

pure-rest: $(READY)
	@$(BIN)/python -m pytest $(PURE) --ignore-glob '*/test_engine_*' --ignore tests/kulta/core/analysis --quiet

# Both runtimes, clients and commands, at servers and processes of their own; much of it is waiting.
runtimes: $(READY)
	@$(BIN)/python -m pytest tests $(PURE:%=--ignore %) --quiet

cover: $(READY)  ## what the pure tests do not reach in the pure part (minutes)
	@$(BIN)/coverage run -m pytest tests --quiet --timeout 300 && $(BIN)/coverage report

check-deep: binaries  ## the same searches, 10,000 worlds each, and every write of real ones (an hour or two)
	@$(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile deep --timeout 3600 -n auto --hypothesis-show-statistics -rP
	@$(BIN)/python -m pytest e2e -m hypothesis --hypothesis-profile deep -rP --numprocesses $(WORKERS)

mutants: $(READY)  ## which changes of the two cores no test notices (hours; SAMPLE=400 SEED=1, MUTANTS='fleet.kulta.core.tactics.steps*')
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group mutants
	@$(BIN)/python -m e2e.mutants $(MUTANTS) --sample $(or $(SAMPLE),0) --seed $(or $(SEED),1) --processes $(or $(PROCESSES),2)

bench: binaries  ## figures as JSON and a table (some of them: make bench hub)
	@$(BIN)/python -m e2e.bench $(BENCHES)

bench-peers: binaries  ## the engine and Argo Rollouts in one run (built once; ROLLOUTS='50 200')
	@$(BIN)/python -m e2e.bench peers $(if $(ROLLOUTS),--rollouts $(ROLLOUTS))

# The words behind `make bench` are no targets of their own.
BENCHES = $(filter change verdict halt experiments planner engine idle hub,$(MAKECMDGOALS))
ifneq ($(filter bench,$(MAKECMDGOALS)),)
.PHONY: $(BENCHES)
$(BENCHES): ; @:
endif

format: $(READY)  ## format and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .

clean:  ## remove the virtual environment and caches of this folder (not the built binaries)
	@rm -rf .venv build dist .run .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

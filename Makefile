# `make` alone lists what there is. PYTHON=... chooses the interpreter of the environment (3.11 or later).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
STEP   := tools/step
CACHE  := .cache
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup check static unit test soak bench demo format clean
.PHONY: _unit-first _unit-second _unit-rest _test-machine _test-network _test-durable _test-simulation _test-programs _format _lint _imports _mypy-linux _mypy-win32 _mypy-darwin _mypy-tests

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv with everything that the other targets need (once; again when pyproject or constraints change)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "$(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo not there); Lightwork's own processes need Python 3.11 or later" >&2; \
	    echo "hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/pip || $(STEP) "make $(VENV)" $(PYTHON) -m venv $(VENV)
	@$(STEP) "install into $(VENV)" $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,speed]'
	@touch $(STAMP)

check: $(STAMP)  ## format, lint, types on three platforms, import contracts, fast tests (under a minute)
	@$(MAKE) -j4 unit static

static: _mypy-linux _mypy-win32 _mypy-darwin _mypy-tests _format _lint _imports

# Three parts side by side: some mostly wait.
QUICK = $(BIN)/python -m pytest -q -m "not slow and not soak"
FIRST = tests/cli tests/client tests/simulation tests/transport
SECOND = tests/house tests/payload tests/pools tests/relay tests/wire tests/worker
unit: _unit-first _unit-second _unit-rest
_unit-first: $(STAMP)
	@$(QUICK) $(FIRST) $(ARGS)
_unit-second: $(STAMP)
	@$(QUICK) $(SECOND) $(ARGS)
_unit-rest: $(STAMP)
	@$(QUICK) $(addprefix --ignore ,$(FIRST) $(SECOND) tests/e2e tests/e2e_net) $(ARGS)

test: $(STAMP)  ## everything that must hold before a change lands
	@$(MAKE) -j2 static
	@$(MAKE) -j5 _test-network _test-durable _test-simulation _test-programs _test-machine

# Tests on a network mostly wait, those on this machine mostly work: side by side they take half the time. Simulated time
# does not pass while others need the processors.
ON_NETWORK = STEP_SHOWS='^SKIPPED|passed|skipped' $(STEP)
NETWORK_TEST = $(BIN)/python -m pytest -q -rs -m "not soak" -p no:cacheprovider
PROGRAMS = tests/cli tests/e2e tests/examples tests/local tests/pools
APART = tests/e2e_net tests/chaos tests/simulation $(PROGRAMS)
_test-machine: $(STAMP)
	@$(BIN)/python -m pytest -q -m "not soak" $(addprefix --ignore ,$(APART)) $(ARGS)
_test-programs: $(STAMP)
	@$(ON_NETWORK) "whole programs" $(NETWORK_TEST) $(PROGRAMS)
_test-network: $(STAMP)
	@$(ON_NETWORK) "tests on a network" $(NETWORK_TEST) tests/e2e_net --ignore-glob '*/test_durable_*'
_test-durable: $(STAMP)
	@$(ON_NETWORK) "nothing is lost" $(NETWORK_TEST) tests/e2e_net/test_durable_*.py tests/chaos
_test-simulation: $(STAMP)
	@STEP_SHOWS='^simulation|passed' $(STEP) "simulated faults" nice -n 10 $(NETWORK_TEST) tests/simulation

soak: $(STAMP)  ## the long tests: minutes to hours (SEEDS=200000 or SEEDS=A:B: which schedules of the simulation)
	@$(if $(SEEDS),LIGHTWORK_TEST_SEEDS=$(SEEDS) )$(BIN)/python -m pytest -q -m soak $(ARGS)

bench: $(STAMP)  ## the measurements (ARGS="name ..." for some of them)
	@$(BIN)/python -m benchmarks $(ARGS)

demo: $(STAMP)  ## the main job on this machine, with a progress bar, a table and a picture
	@$(BIN)/lightwork demo $(ARGS)

format: $(STAMP)  ## let ruff write the layout and the simple repairs
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

clean:  ## remove the environment, caches and what was built
	@rm -rf $(VENV) $(CACHE) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

_format: $(STAMP)
	@$(STEP) "format" $(BIN)/ruff format --check .
_lint: $(STAMP)
	@$(STEP) "lint" $(BIN)/ruff check .
_imports: $(STAMP)
	@$(STEP) "import contracts" $(BIN)/lint-imports --no-cache --no-logo
_mypy-linux _mypy-win32 _mypy-darwin: _mypy-%: $(STAMP)
	@$(STEP) "types, $*" $(BIN)/mypy --platform $* --cache-dir $(CACHE)/mypy-$* src
_mypy-tests: $(STAMP) _mypy-linux
	@$(STEP) "types, tests" $(BIN)/mypy --cache-dir $(CACHE)/mypy-linux --platform linux \
	    $(wildcard tests benchmarks)

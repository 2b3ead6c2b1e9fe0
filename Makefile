# Two commands matter: `make run` and `make test`. Each sets up what it needs. (Works with GNU make 3.81.)

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
VENV := .venv/bin
WORKERS ?= 2

# The first Python of 3.11 or newer; PYTHON=/path/to/python names another.
PYTHON ?=
find_python = for python in $(PYTHON) $(if $(PYTHON),,python3.13 python3.12 python3.11 python3 python); do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
	echo 'zoufang: Python 3.11 or newer is needed and none was found; install one or say: make PYTHON=/path/to/python3' >&2; \
	exit 1; fi
set_up = $(if $(READY),@:,@$(find_python); exec "$$python" -I deploy/set_up.py)
step = @printf '\n\033[1m== %s\033[0m\n' $(1)

.PHONY: help run test check lint types web layers openapi-drift unit-tests tests dates-sample test-dates format openapi contract \
	bench demo-visit lock clean set-up set-up-dev set-up-test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: set-up ## start everything: database, photo store, API, worker, demo county (Ctrl-C stops it)
	@$(VENV)/python -m server run

demo-visit: set-up ## walk one home visit through a running `make run`, from the phone to the resident
	@$(VENV)/python -m server demo-visit $(if $(PHOTOS),--photos $(PHOTOS))

test: set-up-test ## all that CI runs: lint, layers, OpenAPI drift, types, web, tests
	@$(MAKE) READY=1 lint
	@$(MAKE) READY=1 layers
	@$(MAKE) READY=1 openapi-drift
	@$(MAKE) READY=1 types
	@$(MAKE) READY=1 web
	@$(MAKE) READY=1 tests
	@$(MAKE) READY=1 dates-sample

check: set-up-dev ## for every save: lint, layers, types, and the tests that start no server and no browser
	@$(MAKE) READY=1 lint
	@$(MAKE) READY=1 layers
	@$(MAKE) READY=1 types
	@$(MAKE) READY=1 unit-tests

lint: set-up-dev ## check style and format
	$(call step,'lint')
	@$(VENV)/ruff check .
	$(call step,'format')
	@$(VENV)/ruff format --check .

layers: set-up-dev
	$(call step,'layers')
	@$(VENV)/lint-imports

types: set-up-dev
	$(call step,'types')
	@$(VENV)/mypy

web: set-up-dev ## check the web apps: format, lint, types against openapi.json, unit tests (the set-up built them)
	$(call step,'web')
	@cd web && PATH="$$PWD/../$(VENV):$$PATH" && npm run --silent types && npm run --silent format:check && npm run --silent lint && npm run --silent check && npm run --silent test

openapi-drift: set-up-dev
	$(call step,'OpenAPI drift')
	@$(VENV)/python -m server openapi --check

unit-tests: set-up-dev
	$(call step,'unit tests')
	@unset MAKEFLAGS MFLAGS MAKELEVEL READY; $(VENV)/python -m pytest -q -n $(WORKERS) -m unit

tests: set-up-test
	$(call step,'tests')
	@unset MAKEFLAGS MFLAGS MAKELEVEL READY; $(VENV)/python -m pytest -n $(WORKERS)

# A leap day and month's end beyond the published calendar, over China's midnight.
dates-sample: set-up-dev
	@$(MAKE) READY=1 test-dates DATES="2028-02-29T15:59:57" \
		TESTS="tests/workload/test_workload.py tests/core/test_working_days.py tests/cases/test_decided.py"

test-dates: set-up-dev ## run the suite at twenty dates (DATES="2028-02-29T04:00 …" and TESTS="tests/cases …" for fewer)
	$(call step,'tests at other dates')
	@unset MAKEFLAGS MFLAGS MAKELEVEL READY; $(VENV)/python -m tests.other_dates --workers $(WORKERS) $(if $(DATES),--dates $(DATES)) -- $(TESTS)

format: set-up-dev ## format the code and mend what can be mended
	@$(VENV)/ruff format .
	@$(VENV)/ruff check --fix .
	@cd web && PATH="$$PWD/../$(VENV):$$PATH" && npm run --silent format

openapi: set-up ## write openapi/openapi.json from the code
	@$(VENV)/python -m server openapi

# Linters and generators of clients are 200 MB and not part of `make test`.
CONTRACT := .data/contract
contract: set-up-dev ## lint openapi.json, generate clients in Python and TypeScript, sign in with each
	@test -d $(CONTRACT)/venv || $(VENV)/python -m venv $(CONTRACT)/venv
	@$(CONTRACT)/venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r tests/generators/requirements.txt
	@cp tests/generators/package.json tests/generators/package-lock.json $(CONTRACT)/
	@cd $(CONTRACT) && PATH="$(CURDIR)/$(VENV):$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@ZOUFANG_CONTRACT_TOOLS="$(CURDIR)/$(CONTRACT)" $(VENV)/python -m pytest -n 0 tests/generators/clients.py

bench: set-up-dev ## measure, as one table
	@$(VENV)/python -m bench

# Names no registry host, so that everybody's own mirror serves. Needs uv.
compile = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header
lock: ## write requirements*.txt anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo 'zoufang: `make lock` needs uv (pip install uv)' >&2; exit 1; }
	@$(compile) $(UPGRADE) pyproject.toml -o requirements.txt
	@$(compile) $(UPGRADE) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove the virtual environment and caches (the data in .data stays)
	@rm -rf .venv .cache web/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

set-up:
	$(set_up) run

set-up-dev:
	$(set_up) dev

set-up-test:
	$(set_up) test

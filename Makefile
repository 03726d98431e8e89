# Every command for work on Hubstead; `make help` prints the comments after `##`.
# Requires Python 3.11 or newer with its venv module, git and make.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

PYTHON ?= $(shell sh tools/find-python)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(or $(HUBSTEAD_DATA),data)
TESTS ?= tests
# Tests wait mostly for servers and disks, so two cores run more than two at once.
WORKERS ?= 4
ARGS ?=

# Some machines set it for every program; without compiled files Python starts at half the speed.
unexport PYTHONDONTWRITEBYTECODE

PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-virtualenv
UV_COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate --no-emit-package hubstead pyproject.toml requirements/build.in

.PHONY: help
help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
		awk 'BEGIN { FS = ":.*## " } { printf "  make %-10s %s\n", $$1, $$2 }'

.PHONY: env
env: $(VENV)/.dev ## Create .venv with everything installed: the hub, its tests, its tools

.PHONY: run
run: $(VENV)/.run ## Start the hub on this machine, its files in data/ (DATA=folder for another)
	@exec $(BIN)/hubstead serve --data $(DATA) $(ARGS)

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: $(VENV)/.dev ## Run the tests (TESTS=tests/db for one room); on SQLite and files
	$(PYTEST) --half quick $(TESTS)

.PHONY: test-rest
test-rest: $(VENV)/.dev ## Run what `make test` leaves out: PostgreSQL and S3, client releases, kills
	$(PYTEST) --half rest $(TESTS)

.PHONY: check
check: $(VENV)/.dev ## Check format, lint, types, who imports whom, and lengths
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src tests benchmarks
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python tools/check-structure

.PHONY: format
format: $(VENV)/.dev ## Format the code and apply the linter's automatic fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(VENV)/.dev ## Measure speed beside a peer; writes a dated file into benchmarks/results/
	$(BIN)/python -m benchmarks

.PHONY: siege
siege: $(VENV)/.dev ## Measure honest clients beside attacks (SIEGE_SECONDS=8 each); writes into benchmarks/results/
	$(BIN)/python -m benchmarks.siege

.PHONY: crash
crash: $(VENV)/.dev ## Kill the server 200 times under load; verify that no write is lost or partial
	HUBSTEAD_TEST_CRASHES=$${HUBSTEAD_TEST_CRASHES:-200} \
		$(BIN)/python -m pytest --timeout 7200 tests/crash tests/backup/test_running_hubs.py

.PHONY: soak
soak: $(VENV)/.dev ## Load a server for an hour (MINUTES=60); verify that memory, files and mappings stay bounded
	HUBSTEAD_TEST_SOAK_MINUTES=$${MINUTES:-60} HUBSTEAD_TEST_SOAK_RESULTS=$${RESULTS:-soak.csv} \
		$(BIN)/python -m pytest -s tests/soak

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Send many more malformed requests to the server than the tests do
	HUBSTEAD_TEST_EXAMPLES=$${HUBSTEAD_TEST_EXAMPLES:-2000} \
		$(BIN)/python -m pytest --timeout 7200 tests/fuzz

.PHONY: compat
compat: $(VENV)/.dev ## Try real client releases, each in an environment of its own
	HUBSTEAD_TEST_CLIENTS=all $(BIN)/python -m pytest --timeout 3600 tests/clients tests/world

.PHONY: docs
docs: $(VENV)/.dev ## Write docs/settings.md from the settings class
	$(BIN)/python -m hubstead.settings > docs/settings.md

.PHONY: changelog
changelog: $(VENV)/.dev ## Show the next section of CHANGELOG.md, from the fragments in changes/
	$(BIN)/towncrier build --draft --version next

.PHONY: lock
lock: $(VENV)/.dev ## Pin every dependency with its hashes in requirements/*.txt
	$(UV_COMPILE) -o requirements/run.txt
	$(UV_COMPILE) --extra postgres --extra s3 -o requirements/company.txt
	$(UV_COMPILE) --extra dev -o requirements/dev.txt

.PHONY: clean
clean: ## Remove everything built and installed here (not data/)
	rm -rf $(VENV) build dist src/*.egg-info .ruff_cache .mypy_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: make repeats a step only after its inputs have changed. `.run` stands for the packages of
# a server, `.dev` for all packages, so it counts as `.run` as well.

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Hubstead needs Python 3.11 or newer: set PYTHON=/path/to/python3." >&2; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Could not create $(VENV). On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing the hub ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing the hub, its tests and its tools ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@sh tools/get-git-lfs $(BIN)
	@touch $(VENV)/.run $@

# Everything runs from a checkout: each target makes .venv from the locked requirements when it is missing or stale.

PYTHON ?= python3
ARGS ?=
# Two processes share the files of tests, in their order; ARGS="-n 0 ..." runs all in one, as a debugger needs it.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
# No index page decides what is installed: every file is checked against the hash in the lock.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OURSELVES := $(INSTALL) --no-deps --no-build-isolation -e .
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url \
	--no-emit-find-links --strip-extras --allow-unsafe --build-deps-for editable --extra postgres --extra telemetry

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-full lint format readme lock clean

help:
	@echo "make demo       the main job, by four connectors on this machine (ARGS=... are passed on)"
	@echo "make test       the tests (ARGS=... are passed to pytest)"
	@echo "make test-full  the long tests too"
	@echo "make lint       format check, lint, types"
	@echo "make format     formats the code"
	@echo "make readme     renews the tables of settings"
	@echo "make lock       renews requirements.txt and requirements-dev.txt"

demo: .venv/run.stamp
	$(BIN)/carnet demo $(ARGS)

test: .venv/dev.stamp
	$(BIN)/python -m pytest $(BESIDE) $(ARGS)

test-full: .venv/dev.stamp
	CARNET_FULL=1 CARNET_TEST_KEYCLOAK=1 $(BIN)/python -m pytest $(ARGS)
	$(BIN)/python -m tests.faults.loss --full --report tests/faults/REPORT.md
	@if $(BIN)/python -c 'import sys; from tests.postgres import find_programs; sys.exit(find_programs() is None)'; then \
		$(BIN)/python -m tests.faults.loss --full --store postgres --report tests/faults/REPORT-postgres.md; \
	else echo "PostgreSQL is not installed here (apt-get install postgresql): its loss run is left out"; fi

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

readme: .venv/dev.stamp
	$(BIN)/python -m connector.settings connector/settings/README.md

lock: .venv/dev.stamp
	$(COMPILE) --output-file requirements.txt pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	@! grep -nE 'file:/|://|^-' requirements.txt requirements-dev.txt || { echo "the lock names a place" >&2; exit 1; }

clean:
	rm -rf .venv build dist *.egg-info .coverage .hypothesis .schemathesis .mypy_cache .pytest_cache .ruff_cache .tck .oauth .dss \
		.interop .artifacts

.venv/venv.stamp:
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "There is no $(PYTHON). Install Python 3.11 or later, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Carnet needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	@touch $@

.venv/run.stamp: .venv/venv.stamp requirements.txt pyproject.toml
	$(INSTALL) --require-hashes -r requirements.txt
	$(OURSELVES)
	@touch $@

.venv/dev.stamp: .venv/venv.stamp requirements-dev.txt pyproject.toml
	$(INSTALL) --require-hashes -r requirements-dev.txt
	$(OURSELVES)
	@touch $@

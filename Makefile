.DEFAULT_GOAL := help
BIN := .venv/bin
ARGS :=

.PHONY: help setup demo test golden test-slow lint format build constraints clean

help:  ## Say what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20
	@echo '  PYTHON=… chooses the Python of `make setup`; ARGS="-k clicks -x" goes to pytest.'

setup:  ## Make .venv ready: Python packages, Qt's system libraries
	@scripts/setup.sh

demo: setup  ## Segment, score and correct a sample in a real window
	@$(BIN)/segreview demo

test: setup  ## Run the tests (minutes)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

golden: setup  ## Renew the pictures that tests hold panels and reports against
	GOLDEN=renew $(BIN)/python -m pytest tests/ui/test_golden_panels.py tests/engine/test_golden_reports.py

test-slow: setup  ## Run the long tests: training, many scans
	$(BIN)/python -m pytest -m "slow and not gpu" $(ARGS)

lint: setup  ## Style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: setup  ## Make dist/: sdist, and the wheel from it
	$(BIN)/python -m build --no-isolation

constraints: setup  ## Renew constraints.txt in a fresh environment
	@scripts/renew_constraints.sh

clean:  ## Remove what was built or cached, not .venv
	@rm -rf build dist .coverage .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache
	@find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

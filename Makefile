# Few verbs, each a short command; CI runs the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup up down test check bench clean help
help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## install everything this project needs into .venv

$(VENV)/.ready: requirements/dev.lock pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh

up: setup  ## start the platform, deploy stack.yml, run the main job; leaves it running
	@$(BIN)/tidemill up --demo

down: setup  ## stop the platform; nothing acknowledged is lost
	@$(BIN)/tidemill down

check: setup  ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: setup  ## every test; starts what it needs
	@$(BIN)/pytest

bench: setup  ## measure; prints the table of README, ratios within one run
	@$(BIN)/python -m bench

clean:  ## stop the platform and remove .venv, its data and every cache in this folder
	@if [ -x $(BIN)/tidemill ]; then $(BIN)/tidemill down; fi
	@rm -rf $(VENV) .tidemill .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Few verbs, each a short command; CI runs the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup up down test check bench clean help
help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## install everything this project needs into .venv

$(VENV)/.ready: requirements/dev.lock pyproject.toml
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

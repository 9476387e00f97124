# Two commands do everything: `make serve` and `make test`. Each installs what it needs into .venv first.
.DEFAULT_GOAL := help
.PHONY: help serve train test coverage check format openapi bench image clean
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
NEEDED_GIB := 8
BIN := .venv/bin
ARGS ?=
WHAT ?= service

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: .venv/.serve ## Serve the shipped checkpoint on 127.0.0.1:8000 (ARGS="--port 8001" for more)
	@exec $(BIN)/python -m service serve $(ARGS)

train: .venv/.dev ## Train the sprites on this machine and export them to runs/sprites/model.pt
	@exec $(BIN)/python -m training train $(ARGS)

test: .venv/.dev ## Run every test (ARGS="-k sample" for some, --device cuda for a GPU)
	@exec $(BIN)/python -m pytest $(ARGS)

coverage: .venv/.dev ## Run every test and say which lines of service/ none of them reaches
	@$(BIN)/python -m pytest --quiet --cov --cov-report=term $(ARGS)

check: .venv/.dev ## Format, lint, types, import floors, and drift of generated documents
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest --quiet tests/test_documents.py

format: .venv/.dev ## Format the code and mend what the linter can
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

openapi: .venv/.dev ## Write openapi/openapi.json and the README's generated tables anew
	@$(BIN)/python -m service openapi --output openapi/openapi.json
	@$(BIN)/python -m tests.documents

bench: .venv/.bench ## Measure the service against its own floor and against others
	@$(BIN)/python -m tests.benchmarks $(ARGS)

image: ## Build the container image vae-service (WHAT=training for the other one; docker/README.md)
	@docker/build.sh $(WHAT)

clean: ## Remove .venv and every cache; runs/ stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/.serve: pyproject.toml constraints.txt
	$(call install,.)

.venv/.dev: pyproject.toml constraints.txt
	$(call install,.[training$(comma)dev])
	@touch .venv/.serve

.venv/.bench: .venv/.dev
	@command -v wrk >/dev/null || { echo "wrk is needed to make load: on Debian and Ubuntu 'apt install wrk'."; exit 1; }
	$(call install,.[bench])

comma := ,
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found: install it, or run 'make PYTHON=/path/to/python3.11'."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "No virtual environment could be made: on Debian and Ubuntu 'apt install python3-venv' brings what is missing."; rm -rf .venv; exit 1; }
	@$(BIN)/python -c 'import torch' 2>/dev/null || test $$(df -Pk . | awk 'NR==2 {print int($$4/1048576)}') -ge $(NEEDED_GIB) || { echo "PyTorch with CUDA needs $(NEEDED_GIB) GiB of free disk here: free some, or clone to a larger disk."; exit 1; }
	@echo "Installing into .venv (PyTorch is large: a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)'
	@touch $@
endef

# Everything that is done here, by one word each; `make help` lists them.
# PYTHON=... chooses the interpreter that .venv is made with.

BIN := .venv/bin
READY := .venv/.ready
REMOTE ?= local
ARGS ?=
TESTS ?= --numprocesses auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test torture lint format reference lock accuracy bench clean

help:
	@echo 'make demo           the main job on sample_data/: commit, push, pull, train, reproduce'
	@echo 'make demo REMOTE=s3 the same through a real S3 server on this machine'
	@echo 'make test           every test but the slow ones, on all cores (ARGS="-k name" to choose)'
	@echo 'make lint           style, types, layers'
	@echo 'make format         put the sources into the agreed style'
	@echo 'make reference      write docs/cli.md from the help of the verbs'
	@echo 'make lock           write requirements.lock from constraints.txt (ARGS="torch-….whl" adds its hash)'
	@echo 'make accuracy       train the models in full and print the table (slow)'
	@echo 'make bench          measure beside cp, find and other tools; slow (ARGS="--list" lists what)'
	@echo 'make torture        kill, cut off, fill up and damage by the thousand; slow (ARGS="kills --seed 7")'
	@echo 'make clean          remove what these made, .venv too'
	@echo
	@echo 'Each sets up .venv first (Python 3.11 or newer; PYTHON=python3.12 to choose one).'
	@echo 'Without a GPU, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu saves a large download.'

setup: $(READY)

# Our own modules are compiled once, so that `dsvc` starts fast where Python may not write byte code.
$(READY): pyproject.toml requirements.lock
	@if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
			if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				python=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo 'Python 3.11 or newer is needed, and none was found; PYTHON=/path/to/python names one.' >&2; \
			exit 1; \
		fi; \
		echo "Making .venv with $$($$python --version)."; \
		if ! $$python -m venv --clear .venv; then \
			echo 'No virtual environment could be made; on Debian and Ubuntu: apt install python3-venv.' >&2; \
			exit 1; \
		fi; \
	fi
	@echo 'Installing what requirements.lock names; the first time this takes some minutes.'
	@$(BIN)/python .ci/install.py
	@$(BIN)/python -m compileall -q datasets_vc loaders models
	@touch $@
	@echo 'Ready.'

demo: $(READY)
	@$(BIN)/python examples/demo.py --remote $(REMOTE) $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

torture: $(READY)
	@$(BIN)/python -m tests.torture $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(READY)
	$(BIN)/python docs/make_cli.py

lock: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt uv
	@$(BIN)/python .ci/lock.py $(ARGS)

accuracy: $(READY)
	@$(BIN)/python -m pytest -m slow -s $(ARGS)

bench: $(READY)
	@$(BIN)/python benchmarks/versioning.py $(ARGS)

clean:
	rm -rf .venv build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

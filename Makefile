# reverie: `make demo` shows it, `make test` checks it. Both install what they need into .venv first.

PYTHON ?= python3
BIN := .venv/bin
MARKERS ?= not gpu

.PHONY: demo test quick check lock clean

# make demo [SOURCE=my.mp4] [QUESTION="..."] [MEMORY=dir]
demo: .venv/installed
	$(BIN)/python -m demos.watch_and_ask $(if $(SOURCE),--source "$(SOURCE)") $(if $(QUESTION),--question "$(QUESTION)") $(if $(MEMORY),--memory "$(MEMORY)")

test: .venv/installed
	$(BIN)/python -m pytest -m "$(MARKERS)"

quick: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "reverie needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

clean:
	rm -rf .venv out

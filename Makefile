# Latchkey. `make run` needs Python 3.11 or newer with pip, and nothing else. `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin

# Each process runs browsers of its own, so more than four would need more memory than most machines have.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist worksteal

.PHONY: help run dev test test-fast test-firefox test-postgres check bench load lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: .venv/run ## set everything up and serve the site (FLASK_SITE_URL, default http://localhost:8000)
	@$(BIN)/python -m gunicorn wsgi:app

dev: .venv/run ## the same, reloading on changes and showing tracebacks
	@$(BIN)/python -m flask --app wsgi db upgrade
	@FLASK_DEBUG=1 $(BIN)/python wsgi.py

test: .venv/dev ## run every test, in real Chromium and Firefox too
	@chrome=$$($(BIN)/python tests/browser/chrome.py) && firefox=$$($(BIN)/python -m tests.firefox.binary) \
		&& echo "Testing on SQLite, in $$chrome and $$firefox ..." \
		&& CHROME_BIN="$$chrome" FIREFOX_BIN="$$firefox" $(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-fast: .venv/dev ## run the tests that need neither browser nor patience, in less than a minute
	@echo "Testing on SQLite, without browsers and without the slow tests ..."
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" --ignore tests/browser --ignore tests/firefox $(TESTS)

test-firefox: .venv/dev ## run the flow in Firefox only
	@firefox=$$($(BIN)/python -m tests.firefox.binary) && echo "Testing in $$firefox ..." \
		&& FIREFOX_BIN="$$firefox" $(BIN)/python -m pytest tests/firefox

check: .venv/dev ## format, lint and types, then every test
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory test

test-postgres: .venv/dev ## run what depends on the database on PostgreSQL 15 or newer, on a private server
	@echo "Testing on PostgreSQL what depends on the database (tests/databases.py says what doesn't) ..."
	@$(BIN)/python -m tests.postgres $(BIN)/python -m pytest $(PARALLEL) $(or $(TESTS),$$($(BIN)/python -m tests.databases))

bench: .venv/dev ## measure the site against the bare reference
	@$(BIN)/python -m bench

load: .venv/dev ## measure many sign-ins at once, on SQLite and, where it is installed, on PostgreSQL
	@$(BIN)/python -m tests.postgres $(BIN)/python -m bench.load

lock: ## lock the dependencies again, with hashes (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) -o requirements.txt pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) -o requirements-dev.txt --group dev pyproject.toml

clean: ## remove the environment and what a run left behind
	rm -rf .venv instance/latchkey.db* instance/secret-key instance/mail instance/static

# The environment is made without its own pip, and filled by the pip that is there: that works where Debian's
# python3-venv is missing too. The stamp files make a second run cost nothing.
.venv/run: requirements.txt
	@$(MAKE) --no-print-directory .venv/bin/python
	@echo "Installing what the site needs into .venv (once) ..." >&2
	@$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet --require-hashes --root-user-action=ignore -r $<
	@touch $@

.venv/dev: requirements-dev.txt
	@$(MAKE) --no-print-directory .venv/bin/python
	@echo "Installing what the tests need into .venv (once) ..." >&2
	@$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet --require-hashes --root-user-action=ignore -r $<
	@touch $@ .venv/run

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Latchkey needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with make PYTHON=python3.12 ...")'
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Latchkey needs pip: install it (Debian: apt install python3-pip) and run make again." >&2; exit 1; }
	@$(PYTHON) -m venv --without-pip .venv

# Latchkey. `make run` needs Python 3.11 or newer with pip, and nothing else. `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin

# Each test process runs its own browsers. More than four would need more memory than most machines have.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist worksteal

.PHONY: help run dev test test-fast test-firefox test-postgres check bench load lock clean reset

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: .venv/run ## set everything up and serve the site (FLASK_SITE_URL, default http://localhost:8000)
	@$(BIN)/python -m gunicorn wsgi:app

dev: .venv/run ## serve the site, reload on changes and show tracebacks
	@$(BIN)/python -m flask --app wsgi db upgrade
	@FLASK_DEBUG=1 $(BIN)/python wsgi.py

test: .venv/dev ## run every test, in real Chromium and Firefox too
	@found=$$($(BIN)/python -m tests.browsers) && eval "$$found" \
		&& echo "Testing on SQLite, in $$CHROME_BIN and $$FIREFOX_BIN ..." \
		&& $(BIN)/python -m pytest $(PARALLEL) $(TESTS)

test-fast: .venv/dev ## run the fast tests without browsers, in a minute or two
	@echo "Testing on SQLite, without browsers and without the slow tests ..."
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" --ignore tests/browser --ignore tests/firefox --ignore tests/tutorial $(TESTS)

test-firefox: .venv/dev ## run the flow in Firefox only
	@$(BIN)/python -m pytest tests/firefox

check: .venv/dev ## format, lint and types, then every test
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/python -m mypy
	@$(BIN)/python -m tests.code_lines app learn
	@$(MAKE) --no-print-directory test

test-postgres: .venv/dev ## run the tests that depend on the database, on a private server of PostgreSQL 15 or newer
	@echo "Testing on PostgreSQL, only what depends on the database (tests/databases.py lists the other tests) ..."
	@$(BIN)/python -m tests.postgres $(BIN)/python -m pytest $(PARALLEL) $(or $(TESTS),$$($(BIN)/python -m tests.databases))

bench: .venv/dev ## measure the site against the tutorial's finished program
	@$(BIN)/python -m bench

load: .venv/dev ## measure many sign-ins at once, on SQLite and (if it is installed) PostgreSQL
	@$(BIN)/python -m tests.postgres $(BIN)/python -m bench.load

lock: ## lock the dependencies again, with hashes (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv. Install it (pipx install uv, or see https://docs.astral.sh/uv/) and run it again." >&2; exit 1; }
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) -o requirements.txt pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) -o requirements-dev.txt --group dev pyproject.toml

clean: ## remove the environment and caches, which can be made again
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis instance/static
	find . -name __pycache__ -prune -exec rm -rf {} +

reset: ## remove the accounts, mails and secret key of the site on this machine; asks first
	@printf 'Stop the site first. Remove all its accounts, mails and its secret key? You cannot undo this. [y/N] '; \
	read answer; if [ "$$answer" = y ]; then rm -rf instance/latchkey.db* instance/secret-key* instance/mail && echo "Removed."; \
	else echo "Nothing was removed."; fi

# The stamp files make a second run fast. If the environment's Python is gone, make creates the environment again.
.venv/run: requirements.txt .venv/bin/python
	$(INSTALL) $<
	@touch $@

.venv/dev: requirements-dev.txt .venv/bin/python
	$(INSTALL) $<
	@touch $@ .venv/run

.venv/bin/python:

INSTALL = @command -v $(PYTHON) >/dev/null || { echo "Latchkey needs Python 3.11 or newer with pip. Install it (Debian: sudo apt install python3-pip) and run make again." >&2; exit 1; }; $(PYTHON) install.py

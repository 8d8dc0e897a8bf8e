# make demo    run the virtual experiment and its analysis, print where the report is
# make insitu  a virtual in situ series and its analysis
# make multimodal    a virtual particle seen by 4D-STEM, X-rays and energy losses, and its analysis
# make test    the tests; make test-all adds the slow ones
# make lint    format and lint
# make bench   phasefront beside pyxem and py4DSTEM, into results/bench/indexing.json (15 minutes)
# make whole-run    seconds and memory of whole runs by the size of a scan, into results/bench/run.json
# make assumptions    what wrong assumptions do to phases and probabilities, into results/bench/assumptions.json
# make worlds    phases decided in two virtual worlds that share no code, into results/bench/worlds.json
# make multislice    the second world's intensities, by abTEM, into benchmarks/multislice.nc (half an hour)
# make constants    the constants that were fitted, fitted again, into results/bench/constants.json
# make mechanisms    what can be told of insertion mechanisms, into results/bench/mechanisms.json
# make series  in situ series against virtual truth, into results/bench/insitu.json
# make coverage    do 95 % intervals of fractions hold the truth? 240 virtual scans in 12 jobs, into results/demo/coverage.json
# make docs    draw docs/architecture.svg from the code; write the pages of what the last demo and bench found
# make verify RUN=demo    check every record of a run
# make slurm   what profiles/slurm needs beside the rest
# make lock    resolve pyproject.toml into envs/lock.txt again

PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc 2>/dev/null || echo 2)
export PYTHONNOUSERSITE := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/share/matplotlib

# Each process of the tests may take 1 GB.
TESTS := $(BIN)/pytest --numprocesses $(CORES) --maxprocesses 8 --dist loadfile --no-loadscope-reorder \
	--durations 30

RESOLVE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

UV := $(BIN)/uv pip install --quiet --system-certs --python .venv

READY := .venv/.ready
PY4DSTEM := .venv-py4dstem
ABTEM := .venv-abtem

.PHONY: demo limno insitu multimodal test test-all lint docs bench whole-run assumptions worlds multislice constants mechanisms series coverage verify slurm lock schema

demo: $(READY)
	$(BIN)/phasefront run config/demo.yaml --cores $(CORES)

limno: $(READY)
	$(BIN)/phasefront run config/limno.yaml --cores $(CORES)

insitu: $(READY)
	$(BIN)/phasefront run config/insitu.yaml --cores $(CORES)

multimodal: $(READY)
	$(BIN)/phasefront run config/multimodal.yaml --cores $(CORES)

test: $(READY)
	$(TESTS) -m "not slow"

test-all: $(READY)
	$(TESTS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --configfile config/demo.yaml --lint

docs: $(READY)
	$(BIN)/python -m docs.make.architecture
	$(BIN)/python -m docs.make.pages

# py4DSTEM needs NumPy below 2, so it has an environment of its own; without it the rest is measured.
bench: $(READY)
	@$(MAKE) --no-print-directory $(PY4DSTEM)/.ready || \
		echo "py4DSTEM cannot be installed here, the benchmark skips it" >&2
	$(BIN)/python -m benchmarks.indexing

whole-run: demo
	$(BIN)/python -m benchmarks.whole_run

assumptions: $(READY)
	$(BIN)/python -m benchmarks.assumptions

worlds: $(READY)
	$(BIN)/python -m benchmarks.worlds
	$(BIN)/python -m benchmarks.overlaps
	$(BIN)/python -m benchmarks.twins

multislice: $(ABTEM)/.ready
	$(ABTEM)/bin/python -m benchmarks.multislice benchmarks/multislice.nc --parts results/bench/multislice
	$(ABTEM)/bin/python -m benchmarks.multislice_checks

constants: $(READY)
	$(BIN)/python -m benchmarks.constants

mechanisms: $(READY)
	$(BIN)/python -m benchmarks.mechanisms

series: $(READY)
	$(BIN)/python -m benchmarks.insitu

coverage: $(READY)
	$(BIN)/snakemake --configfile config/demo.yaml --cores $(CORES) study_coverage

verify: $(READY)
	$(BIN)/phasefront verify results/$(RUN)

schema: $(READY)
	$(BIN)/phasefront schema

slurm: $(READY)
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement envs/slurm.txt

lock:
	$(RESOLVE) --extra develop --output-file envs/lock.txt pyproject.toml envs/build.in
	$(RESOLVE) --output-file envs/py4dstem.txt envs/py4dstem.in
	$(RESOLVE) --output-file envs/abtem.txt envs/abtem.in
	$(RESOLVE) --no-deps --constraint envs/lock.txt --output-file envs/slurm.txt envs/slurm.in

# uv installs the same files in a tenth of the time. It reads no settings of pip: where a machine gets
# its packages by those, pip does it.
$(READY): envs/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "phasefront needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' envs/lock.txt > .venv/uv.txt
	$(BIN)/pip install --quiet --require-hashes --requirement .venv/uv.txt
	{ $(UV) --require-hashes --requirement envs/lock.txt && $(UV) --no-deps --no-build-isolation --editable .; } || { \
		$(BIN)/pip install --quiet --require-hashes --requirement envs/lock.txt && \
		$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .; }
	$(BIN)/phasefront compile config/demo.yaml
	@touch $@

.venv-%/.ready: envs/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --require-hashes --requirement $<
	@touch $@

# One line each: what a contributor needs. `make demo` and `make test` are the two commands of the README.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find lb worker -name '*.pyx' -o -name '*.pxd')
TESTS ?= tests
# setuptools warns at each editable install that folders could shadow modules; ours are mapped, so they cannot.
PIP_INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check
# Most tests wait for processes: two at a time for each core, and no more than eight.
TESTS_AT_ONCE ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? 2 * cores : 8)))

.PHONY: demo test build lint types annotate debug wheel-test docs captures bench trials mutants ci clean help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(SOURCES) | $(BIN)/python
	$(PIP_INSTALL) -e '.[test,lint]'
	@touch $(VENV)/.installed $@

build: $(VENV)/.installed ## build the compiled core in place

demo: $(VENV)/.installed ## set up, start the example on 8 workers, show it answering
	@sh examples/demo.sh $(BIN)

# Compiled beforehand, as some machines forbid Python to keep what it compiles: each of a thousand processes would.
test: $(VENV)/.installed-test ## set up and run every test
	@sh .ci/unpack-haproxy $(VENV)
	$(BIN)/python -m compileall -q src cli client lb supervisor worker tests/support/*.py
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist worksteal $(TESTS)

lint: $(VENV)/.installed-test ## ruff and cython-lint
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint lb worker

types: $(VENV)/.installed-test ## mypy, strict
	$(BIN)/mypy

debug: $(BIN)/python ## the compiled core's tests in the debug build, from the sdist
	sh .ci/debug-build $(PYTHON)

wheel-test: ## what a wheel can break, against an installed one
	sh .ci/wheel-test $(PYTHON)

annotate: $(VENV)/.installed-test ## Cython's report of the core: build/cython/lb/*.html
	FASTLB_ANNOTATE=1 $(BIN)/python setup.py -q build_ext --inplace

docs: $(VENV)/.installed ## regenerate the pages that derive from the code, and the comparison in the README
	$(BIN)/python -m fastlb.supervisor.settings.reference > docs/configuration.md
	$(BIN)/python -m fastlb.cli.exit_codes > docs/exit-codes.md
	$(BIN)/python -m fastlb.supervisor.pm2.page > docs/pm2-keys.md
	$(BIN)/python -m fastlb.cli.command_page > docs/commands.md
	$(BIN)/python -m fastlb.cli.pm2_page > docs/coming-from-pm2.md
	$(BIN)/python -m fastlb.cli.json_schemas docs/json
	$(BIN)/python -m fastlb.cli.protocol_page docs
	$(BIN)/python -m benchmarks.picture
	$(BIN)/python -m benchmarks.scaling_picture

captures: $(VENV)/.installed-test ## regenerate docs/captures.md, by making the mistakes that it shows
	$(BIN)/python -m benchmarks.captures

bench: $(VENV)/.installed-test ## micro benchmarks
	$(BIN)/python -m pytest benchmarks --benchmark-only

trials: $(VENV)/.installed-test ## every promise at full size, one table (half an hour)
	$(BIN)/python -m benchmarks.trials

mutants: $(VENV)/.installed-test ## put faults in and see whether the tests find them (an hour)
	$(PIP_INSTALL) -e '.[test,lint,mutants]'
	$(BIN)/python -m benchmarks.mutants

ci: ## everything that must pass before a change lands
	bash .ci/run

clean: ## remove what was built (the next build needs nothing of it)
	rm -rf build dist *.egg-info $(VENV)/.installed*
	find lb worker -name '*.so' -delete

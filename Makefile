# One set of commands for people and for CI. `make demo` and `make test` need nothing but Python 3.11+.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check bench docs clean

demo: $(READY)
	$(BIN)/vitreous demo -o runs/demo

# Side by side, a core each: most tests are too small for torch's threads.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

check: $(READY)
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools
	$(BIN)/mypy
	$(BIN)/lint-imports

# Long: the slow tests, then every table that needs no data of its own. Records already there are kept.
bench: $(READY)
	$(BIN)/pytest -m slow || test $$? -eq 5
	$(BIN)/vitreous benchmark blindspot-speed
	$(BIN)/vitreous benchmark filter-speed
	$(BIN)/vitreous benchmark memory
	$(BIN)/vitreous benchmark simulate
	$(BIN)/vitreous benchmark denoise-quick

# The picture of the README, made by the demonstration itself.
docs: demo
	$(BIN)/vitreous report runs/demo --picture docs/demo.png

clean:
	rm -rf .venv build runs

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vitreous needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

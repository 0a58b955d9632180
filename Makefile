PYTHON ?= python3.11
CORES ?= all
WORKERS ?= auto
# Fixtures of a file are made once: its tests stay in one process.
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Every job is a Python of its own: torch is to be compiled once, not in each of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick proof lint format schemas docs notebook clean

# The embedded default from drawing its scenes to its reports; a second call does nothing.
demo: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --quiet rules
	@$(BIN)/python scripts/where_to_look.py

# All tests, side by side; those that measure time follow alone. The embedded models are
# trained first, if they are not there.
test: demo
	$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not proof and not alone'
	$(BIN)/pytest -m 'alone and not proof'

# The units alone, for every change.
quick: $(INSTALLED)
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/unit

# What takes longer: several seeds, many kill rounds, full-size models.
proof: $(INSTALLED)
	$(BIN)/pytest -m proof

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

# What is written from the configuration's types and names: schemas, README's table of networks.
schemas: $(INSTALLED)
	$(BIN)/python -m lcrp.configuration workflow/schemas config/README.md
	$(BIN)/python -m lcrp.configuration.architecture_table README.md

# The site of docs/, in site/; `mkdocs serve` shows it while it is written.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Executes docs/explain-a-prediction.ipynb again and keeps what it shows.
notebook: $(INSTALLED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[notebook]' \
		|| $(BIN)/pip install --quiet --editable '.[notebook]'
	$(BIN)/python docs/execute.py docs/explain-a-prediction.ipynb

# Computed files only: what was downloaded stays, and the pages that say what lies where.
clean:
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf logs benchmarks/results resources/scenes resources/training resources/datasets

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[test]' \
		|| $(BIN)/pip install --quiet --editable '.[test]'
	touch $@

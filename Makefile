# Everything runs in .venv, which is made on first use and left alone until pyproject.toml or constraints.txt change.
# CPU-only torch: make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON    ?= python3
VENV      ?= .venv
PIP_FLAGS ?=
JOBS      ?= 2
BIN       := $(VENV)/bin
MENON     := $(BIN)/menon
BASE      := $(VENV)/.installed-base
DEV       := $(VENV)/.installed-dev
# What influence is tested against; without its dependencies, of which torchvision breaks transformers on a CPU build.
ORACLE    := kronfluence==1.0.1 einconv==0.1.0 einops==0.8.2 opt_einsum==3.4.0
# Bytecode is compiled on first use: compiling all packages up front is time that no run needs.
INSTALL   := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_FLAGS) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check benchmark reproduce reproduce-star reproduce-code calibration flowcharts quiet procedural code-mixture base clean

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 22

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "no virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# Editable, so that a change of the sources needs no new installation.
$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Menon into $(VENV)"
	@$(INSTALL) -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Menon and its development tools into $(VENV)"
	@$(INSTALL) -e '.[dev]'
	@$(INSTALL) --no-deps $(ORACLE) || echo "$(ORACLE): not installed; the tests against kronfluence are skipped"
	@touch $(BASE) $@

demo: $(BASE) ## a small model teaches itself to reason; is it reasoning?
	@$(MENON) run quickstart --out runs/quickstart
	@echo "report: $(CURDIR)/runs/quickstart/report.html"

test: $(DEV) ## the whole test suite, on CPU
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

check: $(DEV) ## lint, format, types, layers, unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow" tests/unit tests/architecture

benchmark: $(DEV) ## every benchmark, one JSON object per line
	@$(INSTALL) -e '.[dev,bench]'
	@for file in benchmarks/[!_]*.py; do \
		case $$file in */quiet_star.py|*/influence.py) short=--quick ;; *) short= ;; esac; \
		$(BIN)/python $$file --json $$short || exit 1; \
	done

reproduce: $(DEV) ## the slow tests, the quickstart and Quiet-STaR with its controls, from nothing
	$(BIN)/python -m pytest -m slow
	$(MENON) run quickstart --out runs/reproduce --fresh
	$(MENON) run quiet --out runs/reproduce-quiet --fresh

reproduce-star: $(BASE) ## the table and picture of docs/star.md
	$(MENON) run star-arms --out runs/star-arms
	$(MENON) run star-shapes --out runs/star-shapes

calibration: $(BASE) ## audit models of known nature; docs/calibration.md and the panel in every report
	$(MENON) audit --calibrate --out runs/calibration
	sed 's|(calibration.svg)|(img/calibration.svg)|' runs/calibration/calibration.md > docs/calibration.md
	cp runs/calibration/calibration.svg docs/img/calibration.svg
	cp runs/calibration/panel.json src/menon/auditing/panel.json

flowcharts: $(BASE) ## chain of thought against a flowchart; pictures of docs/flowcharts.md
	$(MENON) run flowcharts --out runs/flowcharts
	cp runs/flowcharts/flowcharts-*.svg docs/img/

quiet: $(BASE) ## Quiet-STaR against its controls, three seeds; pictures of docs/quiet-star.md
	$(MENON) run quiet --out runs/quiet
	cp runs/quiet/quiet-*.svg docs/img/

procedural: $(BASE) ## where answers come from, on a corpus of known truth; pictures of docs/tracing.md, the verdict's rule
	$(MENON) run procedural --out runs/procedural
	for name in alike answers sources; do cp runs/procedural/procedural-$$name-large.svg docs/img/; done
	cp runs/procedural/verdict.json src/menon/tracing/verdict.json

code-mixture: $(BASE) ## code in pre-training at toy scale, ten minutes; pictures of docs/code-mixture.md
	$(MENON) run code-mixture --out runs/code-mixture
	cp runs/code-mixture/code-mixture-*.svg docs/img/

reproduce-code: $(BASE) ## the same with larger models and more text, overnight
	$(MENON) run code-mixture-full --out runs/code-mixture-full

base: $(BASE) ## pre-train the embedded model from nothing
	$(MENON) run base --out runs/base
	@echo "weights: $(CURDIR)/runs/base/checkpoints/base; card: $(CURDIR)/runs/base/card.md"

clean: ## remove the environment and caches; runs stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

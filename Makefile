# Two commands do all the set-up: `make search` and `make test`. CONTRIBUTING.md has the rest.
# `make PYTHON=python3.12 test` chooses a Python, `make VENV=elsewhere test` another place for the environment.

VENV  ?= .venv
ALPHA ?= 0.8
LAB   ?=
ifndef PYTHON
PYTHON := $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))) python3)
endif

BIN    := $(abspath $(VENV))/bin
STAMPS := $(VENV)/nas_workbench
PARTS  := settings.ini setup.py
export PATH := $(BIN):$(PATH)

.PHONY: help search test lab docs clean
help:
	@echo 'make search   set up, then search a network: papermill nbs/search.ipynb out.ipynb -p alpha $(ALPHA)'
	@echo 'make test     set up, then test everything: nbdev_test and pytest'
	@echo 'make lab      set up, then open JupyterLab'
	@echo 'make docs     set up, then write the documentation to _docs'
	@echo 'make clean    remove what these made, $(VENV) included'

search: $(STAMPS)/search
	$(BIN)/papermill nbs/search.ipynb out.ipynb -p alpha $(ALPHA)

# Notebooks and test files are run in parallel, so each gets one thread.
test: export OMP_NUM_THREADS := $(or $(OMP_NUM_THREADS),1)
test: $(STAMPS)/dev
	@failed=0; for job in nbdev_test 'pytest -n auto --dist loadfile'; do echo $$job; $(BIN)/$$job || failed=1; done; exit $$failed

lab: $(STAMPS)/search
	$(BIN)/jupyter lab $(LAB)

docs: $(STAMPS)/docs
	$(BIN)/nwb docs build

# A stamp per set of extras: nothing is installed again until settings.ini or setup.py change. docs runs the imports of every notebook; dev holds all of them.
$(STAMPS)/search: EXTRAS := lab,onnx
$(STAMPS)/docs: EXTRAS := lab,onnx,docs
$(STAMPS)/dev: EXTRAS := dev
$(STAMPS)/search $(STAMPS)/docs $(STAMPS)/dev: $(PARTS) | $(STAMPS)
	@if [ ! -e $(STAMPS)/dev ] || [ -n "$$(find $(PARTS) -newer $(STAMPS)/dev)" ]; then \
	  echo "Installing nas_workbench[$(EXTRAS)] in $(VENV)" && $(BIN)/python -m pip install -q -e '.[$(EXTRAS)]'; fi
	@touch $@

$(STAMPS):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 | tail -1): nas_workbench needs Python 3.11 or newer, name one with make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo 'Setting up $(VENV): about two minutes, once'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $@

# Only an environment that this file made is removed; runs/ holds results and stays.
clean:
	@if [ -d $(STAMPS) ]; then rm -rf $(VENV); fi
	@rm -rf _docs _proc out.ipynb nas_workbench.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find nas_workbench nbs tests \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

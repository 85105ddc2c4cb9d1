# Everything that the README asks for. `make` alone lists the targets.
# Written for GNU make 3.81 (macOS) and later.

PROFILE ?= laptop
RUN     ?= course
EXTRAS  ?= notebooks,dev,metrics,data
VENV    ?= .venv

# Options for pip. On Linux the package index serves the CUDA build of torch, which also runs on a CPU but
# downloads several GB more. To get the CPU build, name an index or a folder that has it, for example
#   make setup PIP_ARGS="--extra-index-url URL"   or   PIP_EXTRA_INDEX_URL=URL make setup
PIP_ARGS ?=
# Options for pytest, for example PYTEST_ARGS="-k soft_f1", and for JupyterLab.
PYTEST_ARGS ?=
LAB_ARGS    ?=
# The notebooks read the profile and run that RADVLM_COURSE_PROFILE and RADVLM_COURSE_RUN name.
# Notebooks to build, for example NAMES="05_grpo_grounding solutions/*"; all if empty.
NAMES ?=

# The first Python on the path that is new enough, unless PYTHON=... names one.
ifndef PYTHON
PYTHON := $(shell for candidate in python3 python3.13 python3.12 python3.11 python; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	echo $$candidate; break; fi; done)
endif

# What a notebook is told: the profile only if you named one, so that it may otherwise choose what fits the machine.
CHOSEN := $(if $(filter file,$(origin PROFILE)),,RADVLM_COURSE_PROFILE="$(PROFILE)")

PY    := $(VENV)/bin/python
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

.DEFAULT_GOAL := help
# verl wants other releases than the course, so its checks run in an environment of their own.
VERL_VENV     ?= .venv-verl
VERL_PY       := $(VERL_VENV)/bin/python
VERL_STAMP    := $(VERL_VENV)/.installed
VERL_PACKAGES := verl torch torchdata httpx tenacity cachetools fastapi uvicorn prometheus-client \
	nltk sacrebleu rouge-score scipy pillow psutil pyyaml tqdm pytest

.PHONY: help setup course bars lab test test-slow lint format types notebooks check-notebooks verl-check doctor clean distclean

help:
	@echo "make setup            install everything into $(VENV), once"
	@echo "make course           run the whole method and execute every notebook (PROFILE=$(PROFILE) RUN=$(RUN))"
	@echo "make bars             did the run learn what it should? One line a claim"
	@echo "make lab              open JupyterLab on the notebooks"
	@echo "make test             run the tests; make test-slow those of several processes and others that take longer"
	@echo "make doctor           what this machine has, what each tier needs, what is missing"
	@echo "make lint             check style; make format mends what can be mended"
	@echo "make types            check types"
	@echo "make verl-check       the configurations for verl and our rewards in it, in an environment of their own"
	@echo "make notebooks        execute the notebooks and store them with their outputs (NAMES=...)"
	@echo "make check-notebooks  are the stored notebooks whole and equal to their sources?"
	@echo "make clean            remove caches and build output; make distclean removes $(VENV) too"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints/cpu.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed, and none was found on the path (python3: $$(python3 --version 2>/dev/null || echo not there))."; \
		echo "Install one, or name one: make setup PYTHON=/path/to/python3.12"; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON): $$($(PYTHON) --version 2>/dev/null || echo not there)."; \
		echo "Name another one: make setup PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install $(PIP_ARGS) -c constraints/cpu.txt -e ".[$(EXTRAS)]"
	$(PY) -m pip check
	@touch $(STAMP)

course: $(STAMP)
	$(PY) -m radvlm_course run --profile $(PROFILE) --run $(RUN)
	RADVLM_COURSE_PROFILE="$(PROFILE)" RADVLM_COURSE_RUN="$(RUN)" $(PY) -m radvlm_course.notebooks build --execute --workers 2 $(NAMES)

bars: $(STAMP)
	$(PY) benchmarks/course_bars.py runs/$(RUN)

lab: $(STAMP)
	$(CHOSEN) RADVLM_COURSE_RUN="$(RUN)" $(VENV)/bin/jupyter lab notebooks $(LAB_ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m slow --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(STAMP)
	$(PY) -m mypy

notebooks: $(STAMP)
	RADVLM_COURSE_PROFILE="$(PROFILE)" RADVLM_COURSE_RUN="$(RUN)" $(PY) -m radvlm_course.notebooks build --execute --write $(NAMES)

check-notebooks: $(STAMP)
	$(PY) -m radvlm_course.notebooks check $(NAMES)

$(VERL_STAMP): constraints/verl.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { \
		echo "verl needs Python 3.11 or 3.12; $(PYTHON): $$($(PYTHON) --version 2>/dev/null || echo not there)."; \
		echo "Name another one: make verl-check PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VERL_VENV)
	$(VERL_PY) -m pip install --no-compile $(PIP_ARGS) -c constraints/verl.txt $(VERL_PACKAGES)
	$(VERL_PY) -m pip check
	@touch $(VERL_STAMP)

verl-check: $(VERL_STAMP)
	PYTHONPATH="$(CURDIR)" OMP_NUM_THREADS=1 $(VERL_PY) -m pytest checks/verl

doctor: $(STAMP)
	$(PY) -m radvlm_course doctor

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VERL_VENV) radvlm_course.egg-info

# Everything happens in .venv, made on first use. Needs only Python 3.11 or newer, make and a package index.

VENV := .venv
RUN := $(VENV)/bin/python
# In continuous integration (CI=true) the same versions each time, those of constraints/ci.txt, which are for Python 3.11.
IS_LOCKED := import sys; print("PIP_CONSTRAINT=constraints/ci.txt" * (sys.version_info[:2] == (3, 11)))
LOCK = $(if $(filter true,$(CI)),$$($(RUN) -c '$(IS_LOCKED)'))
PIP = env $(LOCK) PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(RUN) -m pip install --quiet

QUICK := tests/policy tests/world tests/laws tests/record tests/scenario tests/test_stats.py

.PHONY: help demo quick test nightly matrix check golden bench

help:
	@echo "make demo   simulate a web shop's week and print what it cost"
	@echo "make quick  policies, the world and the laws on small scenarios, with kernels as plain Python (half a minute)"
	@echo "make test   the whole test suite (four minutes on two cores with an empty cache)"
	@echo "make nightly  what is long and rare: 2,000 new random scenarios, checked bounds, every planted bug (hours)"
	@echo "make matrix the quick profile on each Python from 3.11 to 3.14 that is installed"
	@echo "make check  ruff and mypy"
	@echo "make golden the worked examples of the ECS specification, and the outcome of their tests"
	@echo "make bench  counts, speed and memory against those saved, a naive SimPy model and the bars (half an hour)"

demo: $(VENV)/.installed
	@$(VENV)/bin/clustersim run scenarios/web-shop.yaml

test: $(VENV)/.tests-installed
	$(RUN) -m pytest -n 2

quick: $(VENV)/.tests-installed
	CLUSTERSIM_KERNELS=python $(RUN) -m pytest -n 2 -m "not nightly and not slow and not compiled" $(QUICK)

nightly: $(VENV)/.tests-installed
	@missed=0; \
	$(RUN) -m pytest -n 2 -m nightly || missed=1; \
	$(RUN) -m tests.swarm --seed fresh --count 2000 --keep-going || missed=1; \
	CLUSTERSIM_KERNELS=checked $(RUN) -m tests.swarm --seed fresh --count 200 --keep-going || missed=1; \
	$(RUN) -m tests.swarm --mutate all || missed=1; \
	exit $$missed

# Those on the PATH, and those that pyenv has installed; each in an environment of its own.
matrix:
	@tested=""; missed=0; \
	for python in python3.11 python3.12 python3.13 python3.14 $(wildcard $(HOME)/.pyenv/versions/3.1[1234].*/bin/python3); do \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	  case " $$tested " in *" $$version "*) continue;; esac; \
	  tested="$$tested $$version"; \
	  echo "== Python $$version"; \
	  $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON="$$python" quick || missed=1; \
	done; \
	echo "Tested:$$tested"; exit $$missed

check: $(VENV)/.lint-installed
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy --strict

golden: $(VENV)/.tests-installed
	@$(RUN) -m tests.golden.table

bench: $(VENV)/.installed
	@missed=0; for program in bench/counts.py bench/run.py bench/bars.py bench/ladder.py "-m bench.requests" bench/sweeps.py; do \
	  $(RUN) $$program || missed=1; \
	done; exit $$missed

# The first interpreter that is new enough, unless PYTHON=... names one.
$(VENV)/.created:
	@if $(RUN) -m pip --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found=$$python; \
	  "$$python" -c 'import venv, ensurepip' 2>/dev/null || continue; \
	  echo "Creating $(VENV) with $$("$$python" --version) ..."; \
	  "$$python" -m venv --clear $(VENV) && touch $@; \
	  exit; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "$$found has no venv module: install it (Debian, Ubuntu: apt install python3-venv) and try again." >&2; \
	else \
	  echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3 ..." >&2; \
	fi; \
	exit 1

# pip 25.1 is the first that installs the dependency groups of pyproject.toml.
$(VENV)/.installed: pyproject.toml | $(VENV)/.created
	@echo "Installing clustersim and what it needs (a minute or two, once) ..."
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --editable ".[pandas,report]"
	@touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(PIP) --editable ".[all]" --group test
	@touch $@

$(VENV)/.lint-installed: $(VENV)/.installed
	@echo "Installing what the checks need ..."
	@$(PIP) --group lint
	@touch $@

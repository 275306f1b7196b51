# Every habit of the project by one name. `make` lists them.

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
PACKAGES := agora_sidecar receiver scheduler
# Tests start hundreds of processes: each would compile our modules anew
unexport PYTHONDONTWRITEBYTECODE
SPREAD := -n 4 --dist loadfile --no-loadscope-reorder
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo check fix test verify faults simulate wheel bench oldest lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## create .venv with everything (again only when pyproject.toml changed)

# A name on the PATH proves nothing (pyenv puts shims there): each candidate must run and be new enough.
# The stamp is written last, so that an interrupted installation is repeated.
$(INSTALLED): pyproject.toml
	@found=; for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "make setup: no Python >= 3.11 with venv found (Debian: apt-get install python3-venv)" >&2; exit 1; \
	fi; \
	if [ ! -x $(PYTHON) ]; then \
	    echo "creating $(VENV) with $$($$found --version)"; $$found -m venv --clear $(VENV); \
	fi
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup ## the whole job on this machine, live; ARGS="--for 30s --seed 8"
	@$(VENV)/bin/agora-sidecar demo $(ARGS)

check: setup ## format, lint, types, import contracts; changes nothing
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy $(PACKAGES:%=-p %)
	$(VENV)/bin/lint-imports

fix: setup ## format, and repair what the linter can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

test: setup ## the tests, long proofs left out; ARGS="-k allowlist"
	$(VENV)/bin/pytest -q -m "not slow" $(SPREAD) $(ARGS)

verify: check wheel ## check, all tests with their coverage, and the wheel alone
	$(VENV)/bin/pytest -q --cov --cov-report=term $(SPREAD) $(ARGS)

faults: setup ## kill, stop, cut and fill what the receiver depends on, count, then simulate; SEEDS=1-200
	@$(PYTHON) -m tests.faults --seeds $(or $(SEEDS),0-20) $(ARGS)
	@$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),0-20)

simulate: setup ## hundreds of recordings a seed on a virtual clock, with an oracle; SEEDS=1-1000 ARGS="--lose 1"
	@$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),0-50) $(ARGS)

wheel: setup ## build the wheel and start it in a fresh environment, away from this folder
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& $(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$$folder" . \
	&& $(PYTHON) -m venv "$$folder/venv" \
	&& "$$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$$folder"/*.whl \
	&& cd "$$folder" && PYTHONSAFEPATH=1 venv/bin/agora-sidecar --version \
	&& PYTHONSAFEPATH=1 venv/bin/python -c 'import agora_sidecar, receiver.app, scheduler.app, sys; \
	    modules = agora_sidecar, receiver, scheduler; \
	    sys.exit(not all(module.__file__.startswith(sys.prefix) for module in modules))' \
	&& echo "the wheel runs with the source gone"

bench: setup ## how fast an event is acknowledged
	@$(PYTHON) -m tests.bench $(ARGS)

oldest: ## the tests with the oldest libraries that pyproject.toml allows
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& python3 -m venv "$$folder" && "$$folder/bin/pip" install --quiet --disable-pip-version-check uv \
	&& "$$folder/bin/uv" pip install --quiet --python "$$folder/bin/python" --resolution lowest-direct \
	    --editable '.[dev]' \
	&& "$$folder/bin/pytest" -q -m "not slow" $(SPREAD) $(ARGS)

lock: ## pin anew what the image installs (needs the network)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& python3 -m venv "$$folder" && "$$folder/bin/pip" install --quiet uv \
	&& "$$folder/bin/python" -c 'import tomllib; \
	    print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > "$$folder/build.in" \
	&& set -- --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --no-annotate --quiet --upgrade \
	&& "$$folder/bin/uv" pip compile "$$@" --output-file "$$folder/requirements.lock" pyproject.toml \
	&& "$$folder/bin/uv" pip compile "$$@" --extra aws --constraint "$$folder/requirements.lock" \
	    --output-file "$$folder/aws.lock" pyproject.toml \
	&& "$$folder/bin/uv" pip compile "$$@" --output-file "$$folder/build.lock" "$$folder/build.in" \
	&& for name in requirements aws build; do \
	    { echo '# Pinned by `make lock`, by hashes, for Python >= 3.11 on every platform'; \
	      cat "$$folder/$$name.lock"; } > deploy/$$name.lock; \
	done

clean: ## remove what can be made again, the environment included
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

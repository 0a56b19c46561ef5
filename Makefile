# Everything happens in .venv. `make run` installs the run-time lock into it, the other targets the
# development lock, which holds the same pins and more.

.DEFAULT_GOAL := help
SHELL := /bin/sh

# The newest Python that works is taken; `make PYTHON=python3.12 …` takes another.
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
ARGS ?=
# So many processes run the tests, each with servers of its own; many tests only wait.
SIDE_BY_SIDE ?= 2

# The project itself is installed as an editable link, without a look at the network.
INSTALL_PROJECT = $(PIP) install --no-deps --no-build-isolation -e .

.PHONY: help run example test chaos soak benchmarks check format lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/run.stamp ## start the server with the embedded store on http://127.0.0.1:5079
	@exec $(BIN)/async-job serve $(ARGS)

example: $(VENV)/example.stamp ## make thumbnails of some photographs, as examples/thumbnails/README.md tells
	@$(BIN)/python examples/thumbnails/run.py $(ARGS)

test: $(VENV)/dev.stamp ## run all tests against real servers (ARGS="tests/unit -k backoff" for some)
	@$(BIN)/python -m pytest -n $(SIDE_BY_SIDE) --dist loadfile $(ARGS)

chaos: $(VENV)/dev.stamp ## harm real processes and see that nothing is lost (STORE=redis FROM=9 ROWS=1,3 SCALE=short)
	@PYTHONPATH=tests $(BIN)/python -W error -m faults.chaos $(if $(STORE),--store $(STORE)) $(if $(FROM),--from $(FROM)) \
		$(if $(ROWS),--rows $(ROWS)) $(if $(SCALE),--scale $(SCALE)) $(ARGS)

soak: ## do all faults at random for MINUTES=10 a store, and see that nothing grows (STORE=redis SEED=7)
	@$(MAKE) --no-print-directory chaos ROWS=24 MINUTES=$(or $(MINUTES),10)

benchmarks: $(VENV)/dev.stamp ## measure async-job beside other projects, for about two hours (benchmarks/README.md; ARGS="--small")
	@$(BIN)/python benchmarks/performance/run.py $(ARGS)

check: $(VENV)/dev.stamp ## check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
lock: $(VENV)/dev.stamp ## make the files in requirements/ again (ARGS=--upgrade for newer versions)
	$(UV_COMPILE) $(ARGS) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(UV_COMPILE) pyproject.toml --extra webhooks --group build -c requirements/dev.txt -o requirements/run.txt
	$(UV_COMPILE) --no-deps requirements/examples.in -c requirements/dev.txt -o requirements/examples.txt

clean: ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python is tried by running it: version managers leave commands on the path that only fail.
# The file has no prerequisites; it is made again when it is gone, or when its interpreter is.
$(BIN)/python:
	@old=; bare=; found=; \
	for p in $(if $(PYTHON),$(PYTHON),$(PYTHONS)); do \
		"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
		if "$$p" -c 'import ensurepip, venv' >/dev/null 2>&1; then found="$$p"; break; fi; \
		bare="$${bare:-$$p}"; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
		echo "$$bare cannot make environments: install python3-venv (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed, and none that works is on the path (Debian, Ubuntu: apt install python3 python3-venv)" >&2; exit 1; \
	fi; \
	echo "making $(VENV) with $$found ($$("$$found" -c 'import platform; print(platform.python_version())'))"; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python requirements/run.txt pyproject.toml
	@echo "installing what the server needs"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/example.stamp: $(VENV)/run.stamp requirements/examples.txt
	@echo "installing what the examples need"
	@$(PIP) install --require-hashes --no-deps -r requirements/examples.txt
	@touch $@

$(VENV)/dev.stamp: $(BIN)/python requirements/dev.txt requirements/examples.txt pyproject.toml
	@echo "installing what development and tests need"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --require-hashes --no-deps -r requirements/examples.txt
	@$(INSTALL_PROJECT)
	@touch $(VENV)/run.stamp $(VENV)/example.stamp $@

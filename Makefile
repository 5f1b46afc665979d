# Everything starts from Python 3.11 and make; the rest is installed into .venv.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: help ready ready-kind test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ready: .venv/installed ## judge an embedded cluster with the reference platform: checks, load, chaos, verdict, reports
	$(BIN)/python -m pytest suites load chaos $(ARGS)

ready-kind: .venv/installed ## judge a kind cluster on which the reference platform really runs (needs kind and Docker)
	$(BIN)/python -m pytest suites --cluster kind $(ARGS)

test: .venv/installed ## run the suite's own tests through tox
	$(BIN)/python -m tox run $(ARGS)

clean: ## remove the environment and what the runs left here
	rm -rf .venv .tox build

.venv/installed: requirements/dev.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing; install Python 3.11, or: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

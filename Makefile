# One command from a fresh clone: `make up`, `make test`, `make check`. Needs Python 3.11+ with pip and nothing else.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
V      := .venv
BIN    := $(V)/bin
PIP    := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(PYTHON) -m pip
UV     := UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$(CURDIR)/$(V) $(BIN)/uv
say     = @printf '\033[1mironroot\033[0m  %s\n' $(1)

.PHONY: setup up test check fix lock docs wheel bench interop clean help
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# --- set-up: three steps, each redone only when its inputs change ------------------------------------
setup: $(V)/.project ## everything a fresh machine lacks, into .venv

$(V)/.python: requirements/bootstrap.txt
	$(call say,"1/3 Python environment")
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ironroot needs Python 3.11 or newer: set PYTHON=/path/to/python3")'
	$(PYTHON) -m venv --without-pip --clear $(V)
	$(PIP) --python $(BIN)/python install -qq --require-hashes --no-deps --only-binary :all: -r requirements/bootstrap.txt
	touch $@

$(V)/.packages: $(V)/.python requirements/dev.txt
	$(call say,"2/3 packages$(comma) every one checked against its hash (about 700 MB unpacked)")
	@$(UV) pip sync --require-hashes requirements/dev.txt requirements/bootstrap.txt 2>&1 | grep -vE '^ [+~-] ' || test $${PIPESTATUS[0]} = 0
	touch $@

CONSOLE := $(shell find console -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
$(V)/.project: $(V)/.packages pyproject.toml hatch_build.py $(CONSOLE)
	$(call say,"3/3 ironroot itself$(comma) with its console")
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	touch $@

comma := ,

# --- daily --------------------------------------------------------------------------------------------
up: setup ## start the platform: make up ARGS="--demo 25"
	@exec $(BIN)/ironroot up $(ARGS)

test: setup ## every test, with the engines and clients they need
	@$(BIN)/python tests/need.py
	$(BIN)/pytest $(ARGS)

check: setup ## style, types, import contracts, dependencies, documentation
	@fail=0
	run() {
		local t=$$EPOCHREALTIME rc=0
		"$$@" > $(V)/.out 2>&1 || rc=$$?
		printf '%-14s %6.2f s  %s\n' "$$(basename $$1)" "$$(awk "BEGIN{print $$EPOCHREALTIME-$$t}")" "$$([ $$rc = 0 ] && echo ok || echo FAIL)"
		if [ $$rc != 0 ]; then cat $(V)/.out; fail=1; fi
	}
	run $(BIN)/ruff check .
	run $(BIN)/ruff format --check .
	run $(BIN)/mypy
	run $(BIN)/lint-imports
	run $(BIN)/deptry src
	NO_MKDOCS_2_WARNING=1 run $(BIN)/mkdocs build --strict -q
	exit $$fail

fix: setup ## apply what the style checks can mend
	@$(BIN)/ruff check --fix -q . || true
	$(BIN)/ruff format -q .

docs: setup ## the documentation site, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

wheel: setup ## the distribution, into dist/
	@$(BIN)/python -m hatchling build

bench: setup ## figures against the peers, in one run: see docs/performance.md
	@$(BIN)/python tests/need.py
	$(BIN)/python -m bench $(ARGS)

# --- pins: `make lock` keeps versions, `make lock UPGRADE=--upgrade` moves them -------------------------
COMPILE := env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_FIND_LINKS $(UV) pip compile -q --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)
lock: $(V)/.python
	@new=$$(mktemp -d)
	cp requirements/*.txt $$new/
	$(COMPILE) --group pyproject.toml:bootstrap -o $$new/bootstrap.txt
	$(COMPILE) pyproject.toml --extra server --extra postgres --group dev --group docs -o $$new/dev.txt
	$(COMPILE) pyproject.toml --extra server --extra postgres -c $$new/dev.txt -o $$new/server.txt
	$(COMPILE) pyproject.toml -c $$new/dev.txt -o $$new/agent.txt
	sed -i "s|$$new/||" $$new/*.txt
	! grep -nE '^ *(-i|-f|--(extra-)?index|--find-links|--trusted)|://' $$new/*.txt
	for f in bootstrap dev server agent; do cmp -s $$new/$$f.txt requirements/$$f.txt || cp $$new/$$f.txt requirements/$$f.txt; done
	rm -r $$new

clean: ## remove what set-up and builds made
	@rm -rf $(V) dist site src/ironroot/app/static console/node_modules console/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# CI uses the same targets.
PYTHON ?= python3
VENV := .venv
DEMO := .demo
DATA ?= FER2013

.PHONY: help setup test lint lab docs package peers browser browser-test demo clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Full environment in .venv (training, export, tests)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# A file's tests run in one process, which makes their shared fixtures once.
test: setup lint ## Lint and the package's tests, in parallel
	$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

lab: setup ## Check the result pages and run the tests of lab/
	$(VENV)/bin/python -m lab pages --check
	$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile lab/tests

docs: setup ## Build the site in build/site, and check its links
	$(VENV)/bin/python -m lab site

browser: browser/node_modules/.ready ## Build mien-web and its page in browser/build and browser/dist (needs Node.js)
	node browser/build.mjs $(MODELS)

browser-test: browser/node_modules/.ready ## Check mien-web's types and run its tests (needs Node.js)
	cd browser && npx --no-install tsc && node test.mjs

browser/node_modules/.ready: browser/package-lock.json
	cd browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

package: setup ## Build dist/ from the committed files, check it, and try it in empty environments
	$(VENV)/bin/python -m lab package

peers: setup ## Measure mien beside other tools (needs a network once, Node.js, and DATA: FER2013's folder)
	$(VENV)/bin/python -m lab peers --data $(DATA)

demo: $(DEMO)/.ready ## Recognize the faces of two real portraits (base environment only, no torch)
	$(DEMO)/env/bin/mien recognize $(DEMO)/photos --save $(DEMO)/drawn

# Portraits by NASA and the US Navy, in the public domain, from two well-known packages.
$(DEMO)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)/env
	$(DEMO)/env/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt .
	$(DEMO)/env/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --constraint constraints.txt \
	  --dest $(DEMO)/wheels matplotlib scikit-image
	mkdir -p $(DEMO)/photos
	for wheel in $(DEMO)/wheels/*.whl; do $(DEMO)/env/bin/python -m zipfile -e $$wheel $(DEMO)/unpacked; done
	cp $(DEMO)/unpacked/matplotlib/mpl-data/sample_data/grace_hopper.jpg \
	  $(DEMO)/unpacked/skimage/data/astronaut.png $(DEMO)/photos
	rm -r $(DEMO)/unpacked $(DEMO)/wheels
	@touch $@

clean: ## Remove environments, builds and caches
	rm -rf $(VENV) $(DEMO) browser/node_modules browser/build browser/dist .mypy_cache .ruff_cache .pytest_cache

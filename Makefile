# make demo | test | test-fast | lint | lock | clean
PYTHON ?= python3
VENV   ?= .venv
# Where pip finds torch beside its usual index. Plain PyPI gives the CUDA build on Linux; for the
# small CPU build: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-fast lint format lock clean

demo: $(READY)
	$(BIN)/ganime demo

# In their order: the long files, of which a core would wait for the last, come first.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-fast: $(READY)
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ganime needs Python 3.11 or newer; $(PYTHON) is older: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# The local part of torch's version (+cpu, +cu130) is the installer's choice, not the lock's.
lock: $(READY)
	$(BIN)/pip-compile --quiet --extra dev --extra s3 --extra onnx --extra tensorboard --extra dask --strip-extras --no-header --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	  --output-file requirements.lock pyproject.toml
	sed -i.bak -E 's/^(torch(vision)?==[0-9.]+)\+[a-z0-9]+/\1/' requirements.lock && rm requirements.lock.bak

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

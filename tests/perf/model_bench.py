"""Training, evaluation and memory at the model's longest sequences against the authors' way.

The baseline is the paper's model as the authors run it: eager GPT-2 of transformers at both levels,
one-hot patches, 17 byte positions, float32, dropout in training, torch's AdamW. Ours is the paper's
model, in float32 and in bfloat16, and the compact presets, against the same baseline. All of them
read one sequence of 512 patches a step, of noise: 8,160 bytes, or a pair of 8,144 for the preset
that converts. Speeds are true bytes per CPU second of one thread, measured in turns; laying the
weights out for evaluation, once a model, is not in them. Memory is the peak of a process that
trains (`training_memory`), once each. What a processor without fast bfloat16 has no figure for is
left out. A paper-sized step takes seconds, so few are taken; n says how many.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from bgpt.config import paper, preset
from bgpt.data import TrainingSample, patch_batch
from bgpt.initial import first_weights
from bgpt.layers import fast_dtype
from bgpt.model import Bgpt
from bgpt.weigh import weighing_copy
from tests.perf.speed_table import Goal, Work, goal
from tests.perf.train_bench import AuthorsModel, authors_step
from tests.perf.training_memory import AUTHORS, optimizer_of, our_step, peak_bytes, sequence

TURNS = 2
COMPACT_STEPS = 5
"""Sequences that a compact model reads in a turn: it takes a fraction of a second for one."""
WARM_UP_BYTES = 480
BASELINE = "authors' way (paper's model, eager GPT-2 of transformers, float32)"
SPEED_UNIT = "bytes per CPU second, one thread"

# row -> work, preset, bfloat16
WAYS: Mapping[str, tuple[Work, str, bool]] = {
    "training, paper's model, float32": ("training", "paper", False),
    "training, paper's model, bfloat16": ("training", "paper", True),
    "training, compact-cpu": ("training", "compact-cpu", True),
    "training, compact-music": ("training", "compact-music", True),
    "evaluation, paper's model, float32": ("evaluation", "paper", False),
    "evaluation, paper's model, bfloat16": ("evaluation", "paper", True),
    "evaluation, compact-cpu, float32": ("evaluation", "compact-cpu", False),
    "evaluation, compact-cpu, bfloat16": ("evaluation", "compact-cpu", True),
    "evaluation, compact-music, float32": ("evaluation", "compact-music", False),
    "evaluation, compact-music, bfloat16": ("evaluation", "compact-music", True),
    "peak training memory, paper's model, bfloat16": ("memory", "paper", True),
    "peak training memory, compact-cpu": ("memory", "compact-cpu", True),
    "peak training memory, compact-music": ("memory", "compact-music", True),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """What reads one sequence at a time, and how many of them a turn has."""

    preset: str
    read: Callable[[TrainingSample], object]
    num_steps: int = 1

    def warm_up(self) -> None:
        """Read one sequence: a short one where a long one takes seconds."""
        sample = sequence(self.preset)
        if self.num_steps == 1:
            short = tuple(replace(s, data=s.data[:WARM_UP_BYTES]) for s in sample.segments)
            sample = replace(sample, segments=short)
        self.read(sample)

    def rate(self, turn: int) -> float:
        """Return bytes per CPU second over one turn."""
        samples = [sequence(self.preset, turn * self.num_steps + i) for i in range(self.num_steps)]
        started = time.process_time()
        for sample in samples:
            self.read(sample)
        seconds = time.process_time() - started
        return sum(len(s.data) for sample in samples for s in sample.segments) / seconds


def goals() -> dict[str, Goal]:
    """Return the goal of every row, by the row's name."""
    return {name: goal(work, preset) for name, (work, preset, _) in WAYS.items()}


def bench() -> list[dict[str, Any]]:
    """Measure; one row a way, each with the baseline of its turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*bench_memory(), *bench_work("training"), *bench_work("evaluation")]
    finally:
        torch.set_num_threads(threads)


def bench_memory() -> list[dict[str, Any]]:
    """Return the rows of memory."""
    baseline = [peak_bytes(AUTHORS) / 1e6]
    return [
        row(name, "MB, peak of a process", [peak_bytes(preset) / 1e6], baseline)
        for name, (preset, _) in ways_of("memory").items()
    ]


def bench_work(work: Work) -> list[dict[str, Any]]:
    """Return the rows of training, or those of evaluation."""
    chosen = ways_of(work)
    models = {name: first_weights(preset(name), 0) for name, _ in chosen.values()}
    make = training_way if work == "training" else evaluation_way
    authors = AuthorsModel(paper())
    step = authors_step(authors) if work == "training" else authors_evaluation(authors)
    ways = {name: make(models[preset], preset, bf16) for name, (preset, bf16) in chosen.items()}
    rates = in_turns({AUTHORS: Way(preset="paper", read=step), **ways})
    baseline = rates.pop(AUTHORS)
    return [row(name, SPEED_UNIT, rates[name], baseline) for name in ways]


def ways_of(work: Work) -> dict[str, tuple[str, bool]]:
    """Return preset and bfloat16 of every row of `work` that this processor has a figure for."""
    fast = fast_dtype("cpu") == torch.bfloat16
    return {
        name: (preset, bf16)
        for name, (of, preset, bf16) in WAYS.items()
        if of == work and (fast or not name.endswith("bfloat16"))
    }


def training_way(model: Bgpt, name: str, bf16: bool) -> Way:
    """Return training as `bgpt.train` does it."""
    step = our_step(model, optimizer_of(name))

    def read(sample: TrainingSample) -> None:
        model.config = replace(model.config, bf16=bf16)  # both ways of a preset share its weights
        step(sample)

    return Way(preset=name, read=read, num_steps=1 if name == "paper" else COMPACT_STEPS)


def evaluation_way(model: Bgpt, name: str, bf16: bool) -> Way:
    """Return evaluation as `bgpt eval` does it."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    ready = weighing_copy(model.eval(), dtype)

    def read(sample: TrainingSample) -> float:
        return float(ready.score(patch_batch([sample], "tokens"), dtype).nats.sum())

    return Way(preset=name, read=read, num_steps=1 if name == "paper" else COMPACT_STEPS)


def authors_evaluation(model: AuthorsModel) -> Callable[[TrainingSample], float]:
    """Return evaluation as the authors' script does it."""
    model.eval()

    @torch.no_grad()
    def read(sample: TrainingSample) -> float:
        batch = patch_batch([sample], "tokens")
        return float(model.loss(batch.patches, batch.num_patches))

    return read


def in_turns(ways: Mapping[str, Way]) -> dict[str, list[float]]:
    """Measure all ways in turns, after each has read something."""
    for way in ways.values():
        way.warm_up()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for name, way in ways.items():
            rates[name].append(way.rate(turn))
    return rates


def row(name: str, unit: str, found: list[float], baseline: list[float]) -> dict[str, Any]:
    """Return one row of the report."""
    median, baseline_median = statistics.median(found), statistics.median(baseline)
    return {
        "name": name,
        "unit": unit,
        "median": median,
        "baseline": BASELINE,
        "baseline_median": baseline_median,
        "ratio": median / baseline_median,
        **goals()[name].fields(),
        "n": len(found),
    }


if __name__ == "__main__":
    for measured in bench():
        print(f"{measured['ratio']:6.2f} x  {measured['median']:10.0f}  {measured['name']}")

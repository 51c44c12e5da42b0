"""Speed of greedy decoding against the authors' way, in turns, in one run on one thread.

The baseline is the paper's model as the authors run it: eager GPT-2 of transformers, one-hot
patches, 17 byte positions, no cache at either level, float32, one prompt at a time. It writes 32
bytes after 1,136 given ones, the middle of what ours writes, and counts a byte; its cost grows with
length, so that is its mean over the 256 bytes. Ours writes 256 bytes after 1 KiB, all of them, the
reading of the prompt included; every prompt of a batch is another one. The weights are random and
made never to end a file. Rates are bytes per CPU second of the process. Preparing the model
(`prepare`, once a model) is not in them; it has a row of its own.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bgpt.config import compact_cpu, compact_music, paper
from bgpt.decoding_copy import DecodingModel, prepare
from bgpt.generate import Decoding, decode
from bgpt.model import Bgpt
from bgpt.protocol import EOP, Prompt
from bgpt.sampling import Sampling
from bgpt.train import first_weights
from tests.perf.speed_table import Goal, goal
from tests.perf.train_bench import AuthorsModel, never_ending

PROMPT_BYTES = 1024
WRITTEN_BYTES = 256
BASELINE_GIVEN_BYTES = PROMPT_BYTES + 112
BASELINE_BYTES = 32
BATCH = 32
TURNS = 3
BASELINE = "authors' way (paper's model, eager GPT-2, no cache; 32 of 256 bytes, a byte)"

# way -> preset, prompts at once, 8 bits, sampling
WAYS: dict[str, tuple[str, int, bool, Sampling | None]] = {
    "paper's model, batch 1, float32": ("paper", 1, False, None),
    "paper's model, batch 1, int8": ("paper", 1, True, None),
    "paper's model, batch 32, float32": ("paper", BATCH, False, None),
    "compact-cpu, batch 1": ("compact-cpu", 1, False, None),
    "compact-cpu, batch 32": ("compact-cpu", BATCH, False, None),
    "compact-music, batch 1": ("compact-music", 1, False, None),
    "compact-music, batch 32": ("compact-music", BATCH, False, None),
    "compact-cpu, batch 32, sampling": ("compact-cpu", BATCH, False, Sampling(top_k=40)),
}


def goals() -> dict[str, Goal]:
    """Return the goal of every row that has one, by the row's name."""
    return {
        f"decoding, {way}": goal("decoding, batch 1" if batch == 1 else "decoding, batch 32", name)
        for way, (name, batch, _, _) in WAYS.items()
    }


def bench() -> list[dict[str, Any]]:
    """Measure decoding; one row a way, each with the baseline of its turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        authors = AuthorsModel(paper()).eval()
        models = {
            "paper": never_ending(first_weights(paper(), 0)),
            "compact-cpu": never_ending_compact(first_weights(compact_cpu(), 0)),
            "compact-music": never_ending_compact(first_weights(compact_music(), 0)),
        }
        started = time.process_time()
        ready = {(name, False): prepare(model) for name, model in models.items()}
        ready["paper", True] = prepare(models["paper"], int8=True)
        prepared_s = time.process_time() - started
        ours = {
            way: our_rate(ready[preset, int8], batch, sampling)
            for way, (preset, batch, int8, sampling) in WAYS.items()
        }
        rates = in_turns({"authors": lambda: authors_rate(authors, BASELINE_BYTES), **ours})
    finally:
        torch.set_num_threads(threads)
    baseline = rates.pop("authors")
    rows = [
        {
            "name": f"decoding, {way}",
            "unit": "bytes per CPU second, one thread",
            "median": statistics.median(found),
            "baseline": BASELINE,
            "baseline_median": statistics.median(baseline),
            "ratio": statistics.median(found) / statistics.median(baseline),
            **goals()[f"decoding, {way}"].fields(),
            "n": len(found),
        }
        for way, found in rates.items()
    ]
    unit = "CPU milliseconds, all models of this page, int8 too"
    row = {"name": "preparing", "unit": unit, "median": 1000 * prepared_s, "n": 1}
    return [*rows, row]


def our_rate(model: DecodingModel, count: int, sampling: Sampling | None) -> Callable[..., float]:
    """Return what measures one way of ours: bytes per CPU second, or after a short warm-up."""
    given = np.random.default_rng(0).integers(0, 256, (count, PROMPT_BYTES), dtype=np.uint8)
    prompts = [Prompt(source=None, extension="bin", given=row.tobytes()) for row in given]

    def rate(num_bytes: int = WRITTEN_BYTES) -> float:
        started = time.process_time()
        written = decode(model, prompts, [num_bytes] * count, Decoding(sampling=sampling))
        seconds = time.process_time() - started
        total = sum(len(one.data) for one in written)
        assert sampling is not None or total == count * num_bytes
        return total / seconds

    return rate


def authors_rate(model: AuthorsModel, num_bytes: int) -> float:
    """Return the baseline's bytes per CPU second."""
    given = np.random.default_rng(0).integers(0, 256, BASELINE_GIVEN_BYTES, dtype=np.uint8)
    started = time.process_time()
    assert len(model.generate(given.tobytes(), num_bytes)) == num_bytes
    return num_bytes / (time.process_time() - started)


def never_ending_compact(model: Bgpt) -> Bgpt:
    """Return the model made to write: the end mark scores 0, and some byte always scores more."""
    with torch.no_grad():
        model.byte_level.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        model.byte_level.head.weight[EOP] = 0
    return model.eval()


def in_turns(ways: Mapping[str, Callable[..., float]]) -> dict[str, list[float]]:
    """Measure all ways in turns; the first turn, of 16 bytes each, only warms up."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for measure in ways.values():
        measure() if measure is ways["authors"] else measure(16)
    for _ in range(TURNS):
        for name, measure in ways.items():
            rates[name].append(measure())
    return rates


if __name__ == "__main__":
    for measured in bench():
        print(f"{measured.get('ratio', 0):6.1f} x  {measured['median']:9.0f}  {measured['name']}")

"""Peak memory of training in one way: `python -m tests.perf.training_memory WAY`.

A process trains two steps, for the optimizer's state comes to life in the first, on one sequence of
8,192 bytes, and prints the most memory that it ever held, interpreter and libraries included. Only
what the way needs is imported: transformers by the authors' alone. Ours train in bfloat16.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bgpt.config import preset
from bgpt.data import TrainingSample, patch_batch
from bgpt.initial import first_weights
from bgpt.model import Bgpt
from bgpt.optim import OptimConfig, make_optimizers
from pipelines.sample import Segment

FILE_BYTES = 8160
"""The largest file of 512 patches: one goes to its extension, one to its end."""
SOURCE_BYTES, TARGET_BYTES = 1152, 6992
"""A conversion pair of 512 patches."""
STEPS = 2
AUTHORS = "authors"


def sequence(name: str, number: int = 0) -> TrainingSample:
    """Return noise that fills 512 patches: a file, or a pair where the preset converts."""
    noise = np.random.default_rng(number).integers(0, 256, FILE_BYTES, dtype=np.uint8).tobytes()
    segments = (Segment(extension="bin", data=noise),)
    if name == "compact-music":
        segments = (
            Segment(extension="abc", data=noise[:SOURCE_BYTES]),
            Segment(extension="mid", data=noise[SOURCE_BYTES:][:TARGET_BYTES]),
        )
    return TrainingSample(key=f"noise-{number}", segments=segments, scored_from=0)


def our_step(model: Bgpt, optim: OptimConfig) -> Callable[[TrainingSample], None]:
    """Return what trains a model on one sequence, as `bgpt.train` does."""
    optimizers = make_optimizers(model, optim)

    def step(sample: TrainingSample) -> None:
        optimizers.zero_grad()
        sums = model.loss(patch_batch([sample], "tokens"))
        (sums.nats / sums.num_tokens).backward()
        optimizers.step()

    return step


def optimizer_of(name: str) -> OptimConfig:
    """Return the optimizer of a preset: AdamW for the paper's, what the runs use for the others."""
    return OptimConfig() if name == "paper" else OptimConfig(kind="muon", lr=4e-3)


def own_peak_bytes() -> int:
    """Return the most memory that this program held.

    Linux' `ru_maxrss` would do, but is inherited: in the child of a large process it is that one's.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def peak_bytes(way: str) -> int:
    """Return the peak of a process that trains in one way: `authors`, or a preset's name."""
    command = [sys.executable, "-m", "tests.perf.training_memory", way]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return int(done.stdout)


def main() -> None:
    """Train two steps in one way and print the peak of memory in bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", help="authors, paper, compact-cpu or compact-music")
    way = parser.parse_args().way
    torch.set_num_threads(1)
    if way == AUTHORS:
        from tests.perf.train_bench import AuthorsModel, authors_step

        step = authors_step(AuthorsModel(preset("paper")))
    else:
        config = replace(preset(way), bf16=True)
        step = our_step(first_weights(config, 0), optimizer_of(way))
    for number in range(STEPS):
        step(sequence(way, number))
    print(own_peak_bytes())


if __name__ == "__main__":
    main()

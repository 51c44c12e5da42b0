"""What tests of several ranks share: jobs to agree on, how ranks start, how curves compare."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counting import TINY, job, mixed

from bgpt.config import ModelConfig
from bgpt.data import DrawnSample
from bgpt.initial import first_weights
from bgpt.job import Job, TrainingInterrupted
from bgpt.model import Bgpt
from bgpt.ranks import Ranks
from bgpt.telemetry import read_metrics
from bgpt.train import train

SOURCES: ModelConfig = replace(TINY, source_attention=True, prev=False, window=4, source_window=4)
WEIGHTS = {"one": 3.0, "three": 1.0, "pairs": 2.0}


def scenarios(home: Path, ranks: Ranks) -> dict[str, Job]:
    """Jobs that one and two ranks must agree on."""
    mixture = into(home, "mixed", ranks=ranks, model=SOURCES, steps=6, packing=True)
    return {
        "plain": into(home, "plain", ranks=ranks),
        # 3 samples for 2 ranks, then 1 sample for 2 ranks, in more parts than samples.
        "uneven": into(home, "uneven", ranks=ranks, batch_size=3, accumulate=2, steps=6),
        "idle": into(home, "idle", ranks=ranks, batch_size=1, accumulate=3, steps=6),
        "mixed": mixed(mixture, WEIGHTS),
        "frozen": into(home, "frozen", ranks=ranks, steps=4, freeze=("byte_level.head*",)),
    }


def noisy(config: ModelConfig) -> Bgpt:
    """A model in which all parts have a say, those that begin at zero too."""
    model = first_weights(config, 0)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=noise)
    return model


def some_samples(num_samples: int) -> list[DrawnSample]:
    """The first samples of a mixture, with and without a source."""
    return mixed(job(Path("/nonexistent")), WEIGHTS).train_view.drawn(np.arange(num_samples), 0)


def into(home: Path, name: str, **options: Any) -> Job:
    (home / name).mkdir(exist_ok=True)
    return job(home / name, **options)


def torchrun(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in two ranks."""
    # Unbuffered, a message and the end of its line are two writes, and ranks share one stderr.
    left_out = ("RANK", "PYTHONUNBUFFERED")
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    root = str(Path(__file__).parents[2])
    environment |= {
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([root, *sys.path]),
    }
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0",
            "--local-addr", "127.0.0.1", *arguments,
        ],
        capture_output=True, text=True, timeout=120, env=environment, check=False, cwd=cwd,
    )  # fmt: skip


def stop_after(job: Job, step: int) -> None:
    polls = iter(range(1, 99))
    with pytest.raises(TrainingInterrupted):
        train(job, signal_received=lambda: signal.SIGTERM if next(polls) == step else None)


def assert_same_curve(first: Path, second: Path) -> None:
    a, b = read_metrics(first), read_metrics(second)
    assert [r["step"] for r in a] == [r["step"] for r in b]
    for x, y in zip(a, b, strict=True):
        assert (x["samples"], x["bytes"], x["learning_rate"]) == (
            y["samples"], y["bytes"], y["learning_rate"],
        )  # fmt: skip
        assert x["train_bits_per_byte"] == pytest.approx(y["train_bits_per_byte"], rel=1e-3)
        if x["eval"]:
            assert x["eval"]["bits_per_byte"] == pytest.approx(y["eval"]["bits_per_byte"], rel=1e-3)
            assert x["eval"]["n"] == y["eval"]["n"]

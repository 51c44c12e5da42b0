# pyright: reportUnknownMemberType=false
"""One training job: what is trained on what and where it goes, how it can end, and torch's set-up.

The loop over it is `bgpt.train`; making one from `params.yaml` and a folder of corpora is
`bgpt.launch`.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bgpt.checkpoint import read_config
from bgpt.config import ModelConfig
from bgpt.data import SampleStream
from bgpt.model import Bgpt
from bgpt.ranks import ALONE, Ranks
from bgpt.resume import checkpoints
from bgpt.telemetry import Tracker
from bgpt.train_config import TrainConfig


class TrainingDiverged(RuntimeError):  # noqa: N818 - reads as the sentence the user sees
    """A loss or gradient that is not finite."""


class TrainingInterrupted(RuntimeError):  # noqa: N818 - reads as the sentence the user sees
    """A signal ended the run after a checkpoint; the same command resumes it."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def _no_samples(_model: Bgpt, _step: int) -> None:
    """Write nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is trained on what, and where it goes."""

    model: ModelConfig
    train: TrainConfig
    train_view: SampleStream
    test_view: SampleStream
    run: Path
    """Run folder, already claimed (`bgpt.run.claim`)."""
    run_sha256: str
    provenance: dict[str, Any]
    """Kept in the final model's `config.json`, with step and parameters added."""
    ranks: Ranks = ALONE
    trackers: Sequence[Tracker] = ()
    """Further places for the scalars of `metrics.jsonl`."""
    write_samples: Callable[[Bgpt, int], None] = _no_samples
    """Called every `samples_every` steps, on rank 0, with the model in evaluation mode."""


def diverged(run: Path, step: int, what: str, keys: Sequence[str] = ()) -> TrainingDiverged:
    """Return what ends `run`, in which `what` is wrong at `step`, with what there is to go on from.

    `keys` are of the samples of the step's batch.
    """
    found = checkpoints(run)
    last = f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"
    samples = f"samples {', '.join(keys)}; " if keys else ""
    return TrainingDiverged(
        f"step {step}: {what}; {samples}{last}; "
        "lower the learning rate and train into another folder"
    )


def is_finished(run: Path, run_sha256: str) -> bool:
    """Return whether `run` holds the final model of this configuration."""
    if not (run / "model").is_dir():
        return False
    return read_config(run / "model")[1].get("run_sha256") == run_sha256


def make_deterministic(threads: int) -> None:
    """Set torch up so that the same work gives the same bits again on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory finds bugs of others and costs time; nothing here reads it unwritten.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010

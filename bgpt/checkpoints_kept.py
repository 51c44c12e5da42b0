"""Which checkpoints stay: the last ones to resume from, and the model of the best evaluation.

`best/` beside `model/` is a whole model, of the step whose evaluation had the fewest bits per byte
so far: weights without an optimizer's state, a third to a half of a checkpoint. How a checkpoint is
written and read is `bgpt.resume`.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bgpt.checkpoint import save_model
from bgpt.model import Bgpt
from bgpt.resume import TrainState, checkpoints
from bgpt.telemetry import Evaluation

BEST = "best"
DEFAULT_KEPT = 2
"""Checkpoints kept while a run lasts: the last, and one more should the last be damaged."""


def prune(run: Path, num_kept: int) -> None:
    """Delete all checkpoints but the last `num_kept`, and what a kill left half written."""
    kept = checkpoints(run)[-num_kept:]
    for other in (run / "checkpoints").iterdir():
        if other not in kept:
            shutil.rmtree(other, ignore_errors=True)


def is_best(state: TrainState, evaluation: Evaluation) -> bool:
    """Return whether no evaluation of the run so far was as good."""
    best = state.best_bits_per_byte
    return best is None or evaluation.bits_per_byte < best


def with_best(state: TrainState, evaluation: Evaluation) -> TrainState:
    """Return `state` with this evaluation, of its step, as the best."""
    return replace(state, best_bits_per_byte=evaluation.bits_per_byte, best_step=state.step)


def save_best(
    run: Path, model: Bgpt, step: int, evaluation: Evaluation, provenance: Mapping[str, Any]
) -> None:
    """Write the model of the best evaluation, in place of the one before; atomic."""
    save_model(run / BEST, model, {**provenance, "step": step, "eval": asdict(evaluation)})

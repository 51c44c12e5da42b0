"""Checkpoints to resume from: weights, optimizer state and counters, bound to one configuration.

`RUN/checkpoints/step-000123/` holds the model as any model is stored (`bgpt.checkpoint`),
`optimizer.safetensors`, and `state.json` with the counters, the hash of the run's configuration
and the sha256 of both tensor files. There is no random state: nothing random happens after the
first weights, and the order of samples is computed from the step (`bgpt.data`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from bgpt.checkpoint import (
    WEIGHTS_FILE,
    CheckpointError,
    atomic_folder,
    load_tensors,
    read_tensors,
    refuse_newer,
    save_tensors,
    write_model,
)
from bgpt.model import Bgpt
from bgpt.optim import Optimizers
from pipelines.config import ConfigError, parse

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"
STATE_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """How far a run is: all that is not a tensor. The step is also the number of the next batch."""

    step: int = 0
    samples: int = 0
    bytes: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    logged_nats: float = 0.0
    """Loss since the last line of metrics, in nats."""
    logged_bytes: int = 0
    """Bytes under that loss."""
    nats_by_corpus: dict[str, float] = field(default_factory=dict[str, float])
    """The same two of every mixed corpus; empty with one corpus."""
    bytes_by_corpus: dict[str, int] = field(default_factory=dict[str, int])
    best_bits_per_byte: float | None = None
    """Of the best evaluation so far."""
    best_step: int = 0

    def with_loss(
        self,
        nats: float,
        num_bytes: int,
        nats_by_corpus: Mapping[str, float],
        bytes_by_corpus: Mapping[str, int],
    ) -> "TrainState":
        """Return the state with one batch's loss added."""
        return replace(
            self,
            logged_nats=self.logged_nats + nats,
            logged_bytes=self.logged_bytes + num_bytes,
            nats_by_corpus={
                name: self.nats_by_corpus.get(name, 0.0) + own
                for name, own in nats_by_corpus.items()
            },
            bytes_by_corpus={
                name: self.bytes_by_corpus.get(name, 0) + own
                for name, own in bytes_by_corpus.items()
            },
        )

    def without_loss(self) -> "TrainState":
        """Return the state right after a line of metrics."""
        return replace(self, logged_nats=0.0, logged_bytes=0, nats_by_corpus={}, bytes_by_corpus={})


def save_checkpoint(
    run: Path,
    state: TrainState,
    model: Bgpt,
    optimizer_state: Mapping[str, Tensor],
    run_sha256: str,
) -> Path:
    """Write the checkpoint of `state`, of whole tensors; atomic.

    Raises:
        CheckpointError: it cannot be written, such as on a full disk; the ones before it stay.
    """
    path = checkpoint_path(run, state.step)
    before = checkpoints(run)
    try:
        with atomic_folder(path) as part:
            write_model(part, model, {"run_sha256": run_sha256, "step": state.step})
            save_tensors(part / OPTIMIZER_FILE, optimizer_state)
            files = {name: _sha256(part / name) for name in (WEIGHTS_FILE, OPTIMIZER_FILE)}
            content = {
                "schema_version": STATE_SCHEMA_VERSION,
                "run_sha256": run_sha256,
                "state": asdict(state),
                "files": files,
            }
            (part / STATE_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except (CheckpointError, OSError) as error:
        stands = f"{before[-1]} is untouched" if before else "there is none before it"
        raise CheckpointError(
            f"the checkpoint of step {state.step} could not be written: {error}; {stands}; make "
            "room and run the same command again to go on from there"
        ) from error
    return path


def checkpoint_path(run: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return run / "checkpoints" / f"step-{step:06d}"


def checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    folder = run / "checkpoints"
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    steps = sorted(int(name[5:]) for name in names if re.fullmatch(r"step-\d{6,}", name))
    return [folder / f"step-{step:06d}" for step in steps]


def load_checkpoint(path: Path, model: Bgpt, optimizers: Optimizers, run_sha256: str) -> TrainState:
    """Fill `model` and `optimizers` from a checkpoint and return its counters.

    Raises:
        CheckpointError: damaged, of another configuration, or in a newer format.
    """
    cure = f"delete {path} and run the same command again to resume from the one before it"
    try:
        content = cast("dict[str, Any]", json.loads((path / STATE_FILE).read_text("utf-8")))
        refuse_newer(path / STATE_FILE, content, STATE_SCHEMA_VERSION)
        state = parse(TrainState, content["state"], "state")
        files, owner = cast("dict[str, str]", content["files"]), str(content["run_sha256"])
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path / STATE_FILE}: not readable: {error}; {cure}") from error
    if owner != run_sha256:
        raise CheckpointError(
            f"{path}: belongs to another configuration ({owner[:12]}, this run is "
            f"{run_sha256[:12]}); delete {path.parent} to start over"
        )
    for name in (WEIGHTS_FILE, OPTIMIZER_FILE):
        if not (path / name).exists():
            raise CheckpointError(f"{path / name}: no such file; {cure}")
        found = _sha256(path / name)
        if found != files.get(name):
            raise CheckpointError(
                f"{path / name}: sha256 {found[:12]} does not match {STATE_FILE} "
                f"({str(files.get(name))[:12]}); {cure}"
            )
    load_tensors(path / WEIGHTS_FILE, model.state_dict())
    optimizers.load_state_dict(read_tensors(path / OPTIMIZER_FILE))
    return state


def _sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

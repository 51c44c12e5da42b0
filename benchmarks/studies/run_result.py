"""What one training of a study leaves: a small JSON file; its weights are thrown away.

Writing and reading are inverse. A file that is damaged, of another format or of another
configuration counts as not there: the training is done again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.config import ConfigError, parse
from pipelines.shards import write_atomically

RESULT_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """One evaluation on the test side, teacher-forced."""

    bytes: int
    """True bytes of samples read until then."""
    cpu_seconds: float
    bits_per_byte: float
    byte_accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """One training and its figures."""

    schema_version: int = RESULT_SCHEMA_VERSION
    task: str
    option: str
    seed: int
    bytes: int
    """The budget."""
    train_samples: int
    """Samples of the corpus within reach."""
    samples_read: int
    sha256: str
    """Of configuration, shards and training code (`bgpt.run.record_sha256`)."""
    parameters: int
    steps: int
    cpu_seconds: float
    """Of all steps, evaluations and checkpoints left out: the mean step of this process times
    `steps`."""
    wall_seconds: float
    """Of everything, evaluations too."""
    eval_samples: int
    curve: tuple[CurvePoint, ...]
    """In order; the last is the final model's. Empty where the training diverged."""
    failed: str | None = None
    """Why the training did not reach its end."""
    machine: dict[str, Any]

    @property
    def bits_per_byte(self) -> float | None:
        """Return the final model's, `None` where there is none."""
        return self.curve[-1].bits_per_byte if self.curve else None

    @property
    def byte_accuracy(self) -> float | None:
        """Return the final model's, `None` where there is none."""
        return self.curve[-1].byte_accuracy if self.curve else None


def write_result(path: Path, result: RunResult) -> None:
    """Write one result, whole or not at all."""
    text = json.dumps(asdict(result), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_result(path: Path, sha256: str) -> RunResult | None:
    """Return the result at `path`, `None` where there is none of this configuration."""
    try:
        result = parse(RunResult, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, TypeError, ConfigError):
        return None
    is_ours = result.sha256 == sha256 and result.schema_version == RESULT_SCHEMA_VERSION
    return result if is_ours else None

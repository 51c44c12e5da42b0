"""Who answers: a baseline by name, or a trained model's folder, with what the table says of it.

The only place of the benchmark that reaches torch, and only when a trained model is named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.baselines.catalogue import TrainSide, baselines_of, find_baseline
from benchmarks.report import SubmissionRef
from benchmarks.submission import NAME_PATTERN
from benchmarks.task import SampleSet, Task
from bgpt.protocol import ByteModel
from simulators.suggest import unknown_name


class EntrantError(ValueError):
    """No model or baseline goes by what was given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrant:
    """A model ready to answer, and what is written beside its answers."""

    submission: SubmissionRef
    model: ByteModel
    reads_source: bool
    """What it writes of the display tunes is worth showing."""


def baseline_entrant(
    task: Task, name: str, load_train: Callable[[], SampleSet], max_order: int
) -> Entrant:
    """Make a baseline; `load_train` is called only if it learns from the train side."""
    baseline = find_baseline(task.spec.name, name)
    fitted = baseline.fit(TrainSide(task, load_train, max_order))
    return Entrant(
        submission=SubmissionRef(
            name=name,
            kind="baseline",
            description=fitted.description,
            parameters=None,
            train_samples=fitted.train_samples,
        ),
        model=fitted.model,
        reads_source=baseline.reads_source,
    )


def trained_entrant(task: Task, path: Path, name: str | None) -> Entrant:
    """Load the trained model in folder `path`, a MODEL or a RUN that holds one in `model/`.

    It goes by `name`, else by the name of its run, else by the folder's.

    Raises:
        EntrantError: there is no such folder, or the name cannot be a report's.
        ValueError: not a model, or a broken one.
    """
    if not path.is_dir():
        known = [*baselines_of(task.spec.name)]
        raise EntrantError(
            f"{path}: no folder of a model, and no baseline: "
            + unknown_name(f"baseline of {task.spec.name}", str(path), known)
        )
    from bgpt.byte_model import load_byte_model
    from bgpt.checkpoint import model_folder, read_config

    model = load_byte_model(path)
    folder = model_folder(path)
    provenance: dict[str, Any] = read_config(folder)[1]
    chosen = str(name or provenance.get("run") or folder.resolve().name)
    if NAME_PATTERN.fullmatch(chosen) is None:
        raise EntrantError(
            f"--name: {chosen!r} must be 1 to 64 of a-z, 0-9, - and _, not - or _ first"
        )
    train_samples = provenance.get("train_samples")
    base_tunes = provenance.get("base_tunes")
    step = provenance.get("step")
    return Entrant(
        submission=SubmissionRef(
            name=chosen,
            kind="model",
            description="bGPT"
            + (f" trained on {provenance['corpus']}" if "corpus" in provenance else "")
            + (f", {step} steps" if isinstance(step, int) else ""),
            parameters=model.model.num_parameters(),
            train_samples=train_samples if isinstance(train_samples, int) else None,
            base_tunes=base_tunes if isinstance(base_tunes, int) else None,
        ),
        model=model,
        reads_source=True,
    )

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
"""TensorBoard and Weights & Biases, for who has them: the scalars of `metrics.jsonl` once more.

Neither is a dependency. Which are used is a choice of the command, `bgpt train --track NAME`, not
of `params.yaml`, because it changes nothing of the run.
"""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from bgpt.telemetry import Tracker
from simulators.permutation import derived_seed
from simulators.suggest import unknown_name


class TrackerMissing(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A tracker that is not known, or whose package is not installed."""


@final
class TensorBoard:
    """Event files in `RUN/tensorboard`, written anew at every start like DVCLive's."""

    def __init__(self, run: Path, _name: str) -> None:
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
        module: Any = importlib.import_module("torch.utils.tensorboard")
        self._writer: Any = module.SummaryWriter(str(run / "tensorboard"))

    def log(self, step: int, scalars: Mapping[str, float], /) -> None:
        """Take the scalars of one record."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


@final
class WeightsAndBiases:
    """A run of the project `byteworld`; account, host and offline mode are wandb's own settings."""

    def __init__(self, run: Path, name: str) -> None:
        module: Any = importlib.import_module("wandb")
        # The folder names the run, so a resumed one goes on in the same curves.
        self._run: Any = module.init(
            project="byteworld", name=name, dir=str(run), id=_identity(run), resume="allow"
        )
        self._first_step = int(self._run.step)

    def log(self, step: int, scalars: Mapping[str, float], /) -> None:
        """Take the scalars of one record; those that it has are not taken twice."""
        if step >= self._first_step:
            self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


_TRACKERS: Mapping[str, tuple[str, Callable[[Path, str], Tracker]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "wandb": ("wandb", WeightsAndBiases),
}
"""Name -> the package that it needs, and how it is opened."""


def check_trackers(names: Sequence[str]) -> None:
    """Check that every tracker is known and installed; imports none.

    Raises:
        TrackerMissing: one is not.
    """
    for name in names:
        if name not in _TRACKERS:
            raise TrackerMissing(unknown_name("tracker", name, _TRACKERS))
        package, _ = _TRACKERS[name]
        if importlib.util.find_spec(package) is None:
            raise TrackerMissing(
                f"--track {name}: the package {package} is not installed; "
                f"pip install {package}, or leave --track {name} out (metrics.jsonl has it all)"
            )


def open_trackers(names: Sequence[str], run: Path, name: str) -> list[Tracker]:
    """Return an open tracker for each of `names`.

    Raises:
        TrackerMissing: see `check_trackers`.
    """
    check_trackers(names)
    return [_TRACKERS[tracker][1](run, name) for tracker in names]


def _identity(run: Path) -> str:
    """Return what one run folder is called for ever: its place, in letters that wandb takes."""
    return f"{derived_seed(str(run.resolve())):016x}"

"""Which model a command uses where none is named: that of BGPT_MODEL, or the only run that fits.

A run fits if its provenance says that it was trained to do what is asked (`bgpt.trained_for`).
Nothing is guessed beyond that: where two fit, or none, the user is asked. Weights are not read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bgpt.checkpoint import CheckpointError, read_config
from bgpt.classifier_folder import kind_of, require_generative
from bgpt.trained_for import Provenance, directions_of, simulations_of

VARIABLE: Final = "BGPT_MODEL"
RUNS: Final = Path("runs")

Fits = Callable[[Provenance], bool]


class ModelNotNamed(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """No model was named, and there is not exactly one that fits; the message says how to."""


def find_model(task: str, fits: Fits, environment: Mapping[str, str], runs: Path = RUNS) -> Path:
    """Return the model that variable `BGPT_MODEL` names, else the run below `runs` that fits.

    `task` says in a message what the model is wanted for: "write .mid".

    Raises:
        ModelNotNamed: none fits, or several do.
        CheckpointError: the variable names no model that can write.
    """
    if named := environment.get(VARIABLE):
        return require_generative(Path(named))
    known = generative_runs(runs)
    found = [path for path, provenance in known.items() if fits(provenance)]
    if len(found) == 1:
        return found[0]
    where = f"no MODEL is named and {VARIABLE} is not set, and"
    if found:
        listed = ", ".join(map(str, found))
        raise ModelNotNamed(f"{where} several runs are trained to {task}: {listed}; name one")
    others = f"; it holds {', '.join(map(str, known))}" if known else ""
    raise ModelNotNamed(f"{where} no run in folder {runs} is trained to {task}{others}")


def generative_runs(runs: Path) -> dict[Path, Provenance]:
    """Return the finished runs in a folder that can write; what cannot be read is none of them."""
    found: dict[Path, Provenance] = {}
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        try:
            if kind_of(path) == "generative":
                found[path] = read_config(path)[1]
        except CheckpointError:
            continue
    return found


def converts(source: str | None, target: str | None) -> Fits:
    """Return whether a model converts files of `source` into `target`; None: of any extension."""
    return lambda provenance: any(
        source in (None, known_source) and target in (None, known_target)
        for known_source, known_target in directions_of(provenance)
    )


def simulates(corpus: str | None = None) -> Fits:
    """Return whether a model simulates the machine of `corpus`; None: of any."""
    return lambda provenance: bool(
        simulations_of(provenance) if corpus is None else corpus in simulations_of(provenance)
    )


def writes(extension: str) -> Fits:
    """Return whether a model writes such files: what it converts into, and traces, which are bin.

    What a model of other corpora writes, its provenance does not say.
    """
    return lambda provenance: (
        converts(None, extension)(provenance) or (extension == "bin" and simulates()(provenance))
    )

"""From a study to its trainings: every one a complete, checked run configuration with a name.

A training is one task, one option (or scale), one seed and one budget in bytes; nothing else
decides it, so one that is found done is never done again. Nothing is trained here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmarks.studies.config import BASE, OptionOnTask, Study, StudyTask, merged
from bgpt.run import RunConfig, parse_run
from pipelines.config import ConfigError, load_params, section
from pipelines.corpus import Corpus
from simulators.suggest import unknown_name

_OWN: Final = ("steps", "bytes", "seed", "threads", "train_samples", "log_every", "eval_every",
               "eval_samples", "checkpoint_every", "keep_checkpoints")  # fmt: skip
"""Keys of a training that the study itself decides."""
_CHECKPOINTS: Final = 4
"""What a kill can lose is this part of a training."""
_SAMPLES_MEASURED: Final = 1000
"""First samples whose mean size tells how many steps a budget takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """One training of a study."""

    task: str
    option: str
    """Name of the option, `base`, or a scale in digits."""
    seed: int
    bytes: int
    config: RunConfig

    @property
    def key(self) -> str:
        """Return `TASK.OPTION.seedN.BYTES`: its name in files and messages."""
        return run_key(self.task, self.option, self.seed, self.bytes)


def run_key(task: str, option: str, seed: int, num_bytes: int) -> str:
    """Return the name of a training.

    >>> run_key("cpu-toy", "adamw", 0, 3200000)
    'cpu-toy.adamw.seed0.3200000'
    """
    return f"{task}.{option}.seed{seed}.{num_bytes}"


class Planner:
    """Makes the trainings of one study out of a parameter file and a folder of corpora."""

    def __init__(self, study: Study, name: str, params: Path, data: Path) -> None:
        self._study, self._name, self._params, self._data = study, name, params, data
        self._runs = section(load_params(params), "runs")

    def run(
        self,
        task: str,
        option: str,
        seed: int,
        *,
        num_bytes: int | None = None,
        train_samples: int | None = None,
    ) -> PlannedRun:
        """Return one training; its budget is the task's, if no other is given.

        Raises:
            ConfigError: the base run, or what the option changes, cannot be; names the option.
            CorpusError: there is no corpus.
        """
        about = self._study.tasks[task]
        found = self._study.options_on(task)
        change = found.get(option, OptionOnTask()) if train_samples is None else OptionOnTask()
        budget = about.bytes if num_bytes is None else num_bytes
        key = run_key(task, option, seed, budget)
        values = self._values(task, about, option, change)
        batch_size = values["train"].get("batch_size", 24)
        corpus = values.get("corpus")
        if not isinstance(corpus, str) or not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(
                f"{self._params}: studies.{self._name}: run {about.run!r} needs one corpus and a "
                f"whole batch_size of at least 1, found {corpus!r} and {batch_size!r}"
            )
        steps = max(1, round(budget / (batch_size * _mean_bytes(self._data / corpus))))
        eval_every = max(1, steps // about.evaluations)
        values["train"] |= {
            "bytes": budget,
            "seed": seed,
            "threads": 1,
            "train_samples": train_samples,
            "log_every": eval_every,
            "eval_every": eval_every,
            "eval_samples": about.eval_samples,
            "checkpoint_every": max(1, -(-steps // _CHECKPOINTS)),
        }
        try:
            config = parse_run(values, key)
        except ConfigError as error:
            raise ConfigError(f"{self._where(option, task)}: {error}") from error
        return PlannedRun(task=task, option=option, seed=seed, bytes=budget, config=config)

    def corpus_of(self, task: str) -> str:
        """Return the name of the corpus that a task's trainings read."""
        about = self._study.tasks[task]
        return str(self._values(task, about, BASE, OptionOnTask()).get("corpus"))

    def _values(
        self, task: str, about: StudyTask, option: str, change: OptionOnTask
    ) -> dict[str, Any]:
        """Return a run's section with all changes in it, without what the study decides."""
        if about.run not in self._runs:
            raise ConfigError(
                f"{self._params}: studies.{self._name}.tasks.{task}.run: "
                f"{unknown_name('run', about.run, self._runs)}"
            )
        values = merged(section(self._runs, about.run), {})
        if about.corpus is not None:
            values["corpus"] = about.corpus
        for where, changed in (
            (f"studies.{self._name}.tasks.{task}", about.train),
            (self._where(option, task), change.train),
        ):
            for key in set(changed) & set(_OWN):
                raise ConfigError(f"{where}: train.{key}: the study decides this one; leave it out")
        model: Mapping[str, Any] = merged(
            merged(values.get("model", {}), about.model), change.model
        )
        train = merged(merged(values.get("train", {}), about.train), change.train)
        values["model"] = model
        values["train"] = {key: value for key, value in train.items() if key not in _OWN}
        return values

    def _where(self, option: str, task: str) -> str:
        """Return where in the parameters an option stands."""
        place = f"tasks.{task}" if option not in self._study.options else f"options.{option}"
        return f"{self._params}: studies.{self._name}.{place} on {task}"


@cache
def _mean_bytes(corpus: Path) -> float:
    """Return the mean size of a train sample, in true bytes."""
    opened = Corpus.open(corpus)
    side = opened.side("train", min(_SAMPLES_MEASURED, opened.manifest.num_samples("train")))
    columns = [side.column(f"size_{extension}") for extension in opened.extensions]
    return sum(map(sum, columns)) / len(side)

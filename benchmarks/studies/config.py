"""Section `studies.NAME` of `params.yaml`: what a study trains, how often and for how long.

Two kinds. `ablations`: a base run a task and options that each change one thing of it. `scales`:
the base run on longer and longer prefixes of its corpus. A budget is in bytes of samples, never in
seconds. What trainings follow from a section, `benchmarks.studies.plan` decides.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.tasks.registry import TASKS
from pipelines.config import ConfigError, load_params, parse, section
from simulators.suggest import unknown_name

BASE: Final = "base"
"""What an option is compared with, where it names no other."""
Kind = Literal["ablations", "scales"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyTask:
    """One task of a study: its base run and its budget."""

    run: str
    """A run of section `runs`; what it is trained on, and how, is the base."""
    bytes: int
    """Budget of one training, in true bytes of samples read."""
    corpus: str | None = None
    """Another corpus than the run's."""
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keys of the run's model that are others here."""
    train: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keys of its training that are others here."""
    evaluations: int = 6
    """Evaluations along a training, the last at its end."""
    eval_samples: int = 200
    """First samples of the test side that each of them weighs."""

    def __post_init__(self) -> None:
        """Refuse a budget that trains nothing."""
        for name in ("bytes", "evaluations", "eval_samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionOnTask:
    """What an option is on one task, beside what it is on every one."""

    against: str | None = None
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    train: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOption:
    """One change of the base run."""

    what: str
    """One sentence for the table."""
    against: str = BASE
    """The option that it is compared with: one that differs from it in one thing alone."""
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keys of the base's model that are others."""
    train: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keys of its training that are others."""
    tasks: dict[str, OptionOnTask] | None = None
    """The tasks that it is tried on, with what else it changes there; None: on all of them."""

    def on_task(self, task: str) -> OptionOnTask | None:
        """Return the whole change on `task`, `None` where it is not tried."""
        own = OptionOnTask() if self.tasks is None else self.tasks.get(task)
        if own is None:
            return None
        return OptionOnTask(
            against=own.against or self.against,
            model=merged(self.model, own.model),
            train=merged(self.train, own.train),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduced:
    """What `--reduced` makes of a study: small enough for a test of the whole way."""

    budget: float = 0.005
    """Share of every budget."""
    seeds: int = 2
    """So many first seeds."""
    eval_samples: int = 20
    evaluations: int = 2

    def __post_init__(self) -> None:
        """Refuse shares and counts that train or weigh nothing."""
        check_budget(self.budget, "budget")
        if min(self.seeds, self.eval_samples, self.evaluations) < 1:
            raise ValueError("seeds, eval_samples and evaluations must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Section `studies.NAME`."""

    kind: Kind
    tasks: dict[str, StudyTask]
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of first weights and of the order of samples; every option is trained once with each."""
    options: dict[str, StudyOption] = field(default_factory=dict[str, StudyOption])
    """Of kind `ablations`."""
    scales: tuple[int, ...] = ()
    """Of kind `scales`: numbers of first samples of the train side."""
    budget: float = 1.0
    """Share of the tasks' budgets that is trained, where the command line has no other."""
    reduced: Reduced = field(default_factory=Reduced)

    def __post_init__(self) -> None:
        """Refuse names that are not there, and what belongs to the other kind."""
        for task in self.tasks:
            if task not in TASKS:
                raise ValueError(f"tasks: {unknown_name('task', task, TASKS)}")
        check_budget(self.budget, "budget")
        if not self.tasks or not self.seeds:
            raise ValueError("a study needs at least one task and one seed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: one stands twice")
        wanted, other = ("options", "scales") if self.kind == "ablations" else ("scales", "options")
        if not getattr(self, wanted) or getattr(self, other):
            raise ValueError(f"kind {self.kind} needs {wanted} and has no {other}")
        if list(self.scales) != sorted(set(self.scales)) or min(self.scales, default=1) < 1:
            raise ValueError(f"scales {list(self.scales)} must grow, and be at least 1")
        if BASE in self.options:
            raise ValueError(f"options.{BASE}: that name is the base run's own")
        for name, option in self.options.items():
            for task in option.tasks or ():
                if task not in self.tasks:
                    known = unknown_name("task of this study", task, self.tasks)
                    raise ValueError(f"options.{name}.tasks: {known}")
            for task in self.tasks:
                self._check_against(name, task)

    def options_on(self, task: str) -> dict[str, OptionOnTask]:
        """Return the options that are tried on `task`, in their order."""
        found = {name: option.on_task(task) for name, option in self.options.items()}
        return {name: own for name, own in found.items() if own is not None}

    def with_options(self, names: Collection[str]) -> "Study":
        """Return the study with these options alone, and those that they are compared with.

        Raises:
            ConfigError: there is no such option.
        """
        for name in names:
            if name not in self.options:
                raise ConfigError(f"--only: {unknown_name('option', name, self.options)}")
        kept = set(names)
        kept |= {
            str(own.against)
            for task in self.tasks
            for name, own in self.options_on(task).items()
            if name in names
        }
        chosen = {name: option for name, option in self.options.items() if name in kept}
        return replace(self, options=chosen)

    def with_budget(self, share: float) -> "Study":
        """Return the study with this share of every budget, one byte at least.

        Raises:
            ValueError: the share is none.
        """
        check_budget(share, "--budget")
        tasks = {
            name: replace(task, bytes=max(1, round(share * task.bytes)))
            for name, task in self.tasks.items()
        }
        return replace(self, tasks=tasks, budget=share)

    def as_reduced(self) -> "Study":
        """Return the study as `--reduced` runs it."""
        small = self.with_budget(self.reduced.budget)
        tasks = {
            name: replace(
                task,
                eval_samples=self.reduced.eval_samples,
                evaluations=self.reduced.evaluations,
            )
            for name, task in small.tasks.items()
        }
        return replace(small, tasks=tasks, seeds=self.seeds[: self.reduced.seeds])

    def _check_against(self, name: str, task: str) -> None:
        """Refuse an option that is compared with none of the task, or with one that is compared."""
        own = self.options[name].on_task(task)
        if own is None or own.against == BASE:
            return
        against = str(own.against)
        other = self.options[against].on_task(task) if against in self.options else None
        if other is None or other.against != BASE:
            known = [BASE, *(n for n, o in self.options_on(task).items() if o.against == BASE)]
            raise ValueError(f"options.{name}.against: {unknown_name('option', against, known)}")


def load_study(params: Path, name: str) -> Study:
    """Read study `name` from section `studies` of a `params.yaml`.

    Raises:
        ConfigError: the file, the study or a key is missing, unknown or of another type.
    """
    studies = section(load_params(params), "studies")
    if name not in studies:
        raise ConfigError(f"{params}: {unknown_name('study', name, studies)}")
    return parse(Study, section(studies, name), f"studies.{name}")


def check_budget(share: float, where: str) -> None:
    """Refuse a share of a budget that is none.

    Raises:
        ValueError: it is not above 0, or above 1000.
    """
    if not 0 < share <= 1000:
        raise ValueError(
            f"{where}: {share:g} is no share of the budget; give one above 0, such as 0.1 or 1"
        )


def merged(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `others` in their place, mapping by mapping.

    >>> merged({"optimizer": {"kind": "muon", "lr": 1}}, {"optimizer": {"kind": "adamw"}})
    {'optimizer': {'kind': 'adamw', 'lr': 1}}
    """
    result = dict(values)
    for key, value in others.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            result[key] = value
    return result

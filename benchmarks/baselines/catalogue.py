"""All baselines by name, what each task gets, and how each is made from the train side.

Every task has all that make sense for it; a baseline never sees a test sample before it is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import zstandard

from benchmarks.baselines.compressors import (
    Compressor,
    brotli_size,
    train_dictionary,
    xz_size,
    zlib_size,
    zstd_size,
)
from benchmarks.baselines.midi2abc import Midi2Abc
from benchmarks.baselines.ngram import Ngram, choose
from benchmarks.baselines.rules import CopyState, FetchRule
from benchmarks.baselines.uniform import Uniform
from benchmarks.task import SampleSet, Task
from benchmarks.tasks.cpu import SIMULATIONS, SimulationTask
from bgpt.protocol import ByteModel, Continuation
from simulators.suggest import unknown_name


class UnknownBaseline(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """No baseline of the task has this name; the message names the nearest."""


class TrainSide:
    """The train side as continuations, read when a baseline first wants it."""

    def __init__(self, task: Task, load: Callable[[], SampleSet], max_order: int) -> None:
        self.task: Task = task
        self._load = load
        self.max_order: int = max_order

    @cached_property
    def samples(self) -> SampleSet:
        """Return all train samples."""
        return self._load()

    @cached_property
    def continuations(self) -> list[Continuation]:
        """Return them as the task asks them."""
        return [self.task.request(files, self.samples.prompt_bytes) for files in self.samples.files]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """A baseline ready to answer."""

    model: ByteModel
    description: str
    train_samples: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """A baseline's name, its tasks and how to make it."""

    name: str
    fit: Callable[[TrainSide], Fitted]
    tasks: tuple[str, ...] | None = None
    """Names of its tasks; `None`: all."""
    reads_source: bool = False
    """It writes a conversion out of its source, so that examples of it are worth showing."""


def baselines_of(task_name: str) -> dict[str, Baseline]:
    """Return the baselines of a task by name.

    >>> list(baselines_of("midi-to-abc"))[-1]
    'midi2abc'
    """
    return {
        baseline.name: baseline
        for baseline in BASELINES
        if baseline.tasks is None or task_name in baseline.tasks
    }


def find_baseline(task_name: str, name: str) -> Baseline:
    """Return a task's baseline by name.

    Raises:
        UnknownBaseline: the task has none of this name.
    """
    known = baselines_of(task_name)
    if name not in known:
        raise UnknownBaseline(unknown_name(f"baseline of {task_name}", name, known))
    return known[name]


def _plain(model: ByteModel, description: str) -> Callable[[TrainSide], Fitted]:
    return lambda _: Fitted(model=model, description=description)


def _fit_dictionary(train: TrainSide) -> Fitted:
    dictionary = train_dictionary(train.continuations)
    return Fitted(
        model=Compressor(zstd_size(dictionary)),
        description=f"zstd {_ZSTD}, level 19, with a dictionary of {len(dictionary)} bytes "
        "trained on the train side; C(given + target) - C(given)",
        train_samples=len(train.samples),
    )


def _fit_ngram(train: TrainSide) -> Fitted:
    choice = choose(train.continuations, train.samples.groups, train.max_order)
    return Fitted(
        model=Ngram(train.continuations, choice.order, choice.discount),
        description=f"Kneser-Ney over bytes, order {choice.order}, discount {choice.discount}, "
        f"chosen up to order {train.max_order} on {choice.held_out_samples} train samples held out",
        train_samples=len(train.samples),
    )


def _simulation(train: TrainSide) -> SimulationTask:
    assert isinstance(train.task, SimulationTask)
    return train.task


_SIMULATION_NAMES: Final = tuple(task.spec.name for task in SIMULATIONS)
_ZSTD: Final = ".".join(map(str, zstandard.ZSTD_VERSION))

BASELINES: Final = (
    Baseline(name="uniform", fit=_plain(Uniform(), "every token equally likely")),
    Baseline(
        name="zlib",
        fit=_plain(Compressor(zlib_size), "deflate, level 9; C(given + target) - C(given)"),
    ),
    Baseline(
        name="xz",
        fit=_plain(Compressor(xz_size), "LZMA2, preset 9e; C(given + target) - C(given)"),
    ),
    Baseline(
        name="brotli",
        fit=_plain(Compressor(brotli_size), "brotli, quality 11; C(given + target) - C(given)"),
    ),
    Baseline(
        name="zstd",
        fit=_plain(
            Compressor(zstd_size()), f"zstd {_ZSTD}, level 19; C(given + target) - C(given)"
        ),
    ),
    Baseline(name="zstd-dictionary", fit=_fit_dictionary),
    Baseline(name="ngram", fit=_fit_ngram),
    Baseline(
        name="copy",
        fit=lambda train: Fitted(
            model=CopyState(_simulation(train)), description="every state equals the one before"
        ),
        tasks=_SIMULATION_NAMES,
    ),
    Baseline(
        name="rule",
        fit=lambda train: Fitted(
            model=FetchRule(_simulation(train)),
            description="the next instruction in memory is fetched, everything else copied; "
            "ends where the program stops",
        ),
        tasks=_SIMULATION_NAMES,
    ),
    Baseline(
        name="midi2abc",
        fit=_plain(Midi2Abc(), "midi2abc out of the symusic package, in canonical form"),
        tasks=("midi-to-abc",),
        reads_source=True,
    ),
)

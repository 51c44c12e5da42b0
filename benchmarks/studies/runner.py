"""Doing the trainings of a study side by side, each on one thread, and keeping what is done.

A work folder holds `KEY.json` of every finished training and `KEY/` of those under way. The same
command goes on: finished ones of the same configuration, shards and code are read, interrupted ones
go on from their last checkpoint. On SIGTERM or Ctrl-C every worker saves a checkpoint and ends.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, final

from benchmarks.machine import machine
from benchmarks.studies.plan import PlannedRun
from benchmarks.studies.run_result import CurvePoint, RunResult, read_result, write_result
from bgpt.checkpoint import read_config
from bgpt.interrupt import Interrupts
from bgpt.job import TrainingDiverged, TrainingInterrupted
from bgpt.launch import launch
from bgpt.progress import Status
from bgpt.run import record_sha256, run_record
from bgpt.sides import open_sides
from bgpt.telemetry import read_metrics
from pipelines.engine import LocalEngine

PACKAGES: Final = ("byteworld", "numpy", "torch")
_WARM_UP: Final = 2
"""First steps of a process that are not measured: they also set torch up."""


class StudyInterrupted(RuntimeError):  # noqa: N818 - reads as the sentence the user sees
    """A signal ended the study with everything saved; the same command goes on."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}; run the same command again to go on")
        self.signal_number = signal_number


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingJob:
    """One training, as it is handed to a worker."""

    planned: PlannedRun
    data: Path
    work: Path
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """What became of one training: a result, or the signal that stopped it."""

    result: RunResult | None
    signal_number: int = 0


def _silent(_done: int, _total: int, _last: RunResult) -> None:
    """Show nothing."""


@final
class Runner:
    """Does trainings, up to `num_jobs` at a time; `show` gets done, total and the last result."""

    def __init__(
        self,
        data: Path,
        work: Path,
        num_jobs: int,
        show: Callable[[int, int, RunResult], None] = _silent,
    ) -> None:
        self._data, self._work, self._engine = data, work, LocalEngine(num_jobs)
        self._show = show
        self._sides: dict[str, Any] = {}

    def run_all(self, planned: Iterable[PlannedRun]) -> list[RunResult]:
        """Return the result of every training, in the order of `planned`.

        Raises:
            StudyInterrupted: a signal came; what was under way is saved.
            CorpusError: a corpus is missing or too small.
            ValueError: a training cannot start; names it.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        # Read when a worker loads torch: one thread a training, or they wait for each other.
        os.environ["OMP_NUM_THREADS"] = "1"
        wanted = [
            TrainingJob(planned=p, data=self._data, work=self._work, sha256=self._sha256(p))
            for p in planned
        ]
        found: dict[str, RunResult] = {}
        for job in wanted:
            done = read_result(result_file(job), job.sha256)
            if done is not None:
                found[job.planned.key] = done
        todo = [job for job in wanted if job.planned.key not in found]
        with _raising_on_sigterm():
            for ended in self._engine.run(train_one, todo):
                if ended.result is None:
                    raise StudyInterrupted(ended.signal_number)
                one = ended.result
                found[_key(one)] = one
                self._show(len(found), len(wanted), one)
        return [found[job.planned.key] for job in wanted]

    def _sha256(self, planned: PlannedRun) -> str:
        """Return the hash of configuration, shards and code that the training itself goes by."""
        config, train = planned.config, planned.config.train
        key = repr((config.corpora, train.train_samples, train.eval_samples, train.directions,
                    train.too_long, config.model.max_patches))  # fmt: skip
        if key not in self._sides:
            self._sides[key] = open_sides(config, self._data, {}).corpora
        return record_sha256(run_record(config, self._sides[key]))


def result_file(job: TrainingJob) -> Path:
    """Return where the result of a training lies."""
    return job.work / f"{job.planned.key}.json"


def train_one(job: TrainingJob) -> Ended:
    """Train one run to its end, write its result, and throw its weights away.

    Raises:
        ValueError: it cannot start; the message names it.
    """
    planned, folder = job.planned, job.work / job.planned.key
    clock = _StepClock()
    failed: str | None = None
    with Interrupts() as interrupts:
        try:
            launched = launch(
                planned.config,
                data=job.data,
                run=folder,
                restart_if_changed=True,
                show=clock.stepped,
                signal_received=lambda: clock.between(interrupts.received),
            )
            if launched.was_finished:  # killed before its result was written: nothing was measured
                shutil.rmtree(folder)
                return train_one(job)
        except TrainingInterrupted as error:
            return Ended(result=None, signal_number=error.signal_number)
        except TrainingDiverged as error:
            failed = str(error)
        except (ValueError, OSError) as error:
            raise ValueError(f"{planned.key}: {error}") from error
    result = _result(job, folder, clock, failed)
    write_result(result_file(job), result)
    shutil.rmtree(folder)
    return Ended(result=result)


@final
class _StepClock:
    """CPU seconds of a step, without evaluations and checkpoints.

    The trainer calls `stepped` right after a step and `between` before the next one.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._seconds: list[float] = []

    def stepped(self, _: Status) -> None:
        """Take the time of one step."""
        if self._since is not None:
            self._seconds.append(time.process_time() - self._since)

    def between(self, signal_number: int | None) -> int | None:
        """Start the next one's time; hand through whether to end."""
        self._since = time.process_time()
        return signal_number

    @property
    def seconds_a_step(self) -> float:
        """Return the mean; 0 where no step could be measured."""
        measured = self._seconds[_WARM_UP:] or self._seconds
        return sum(measured) / len(measured) if measured else 0.0


def _result(job: TrainingJob, folder: Path, clock: _StepClock, failed: str | None) -> RunResult:
    """Return what a training left in its folder."""
    planned = job.planned
    records = read_metrics(folder)
    last: dict[str, Any] = records[-1] if records else {}
    steps = int(last.get("step", 0))
    seconds = clock.seconds_a_step
    parameters = 0
    train_samples = planned.config.train.train_samples
    if failed is None:
        provenance = read_config(folder / "model")[1]
        parameters, train_samples = provenance["parameters"], provenance["train_samples"]
    curve = () if failed else tuple(
        CurvePoint(
            bytes=record["bytes"],
            cpu_seconds=round(record["step"] * seconds, 3),
            bits_per_byte=record["eval"]["bits_per_byte"],
            byte_accuracy=record["eval"]["byte_accuracy"],
        )
        for record in records
        if record["eval"] is not None
    )  # fmt: skip
    return RunResult(
        task=planned.task,
        option=planned.option,
        seed=planned.seed,
        bytes=planned.bytes,
        train_samples=train_samples or 0,
        samples_read=int(last.get("samples", 0)),
        sha256=job.sha256,
        parameters=parameters,
        steps=steps,
        cpu_seconds=round(steps * seconds, 3),
        wall_seconds=float(last.get("wall_seconds", 0.0)),
        eval_samples=planned.config.train.eval_samples,
        curve=curve,
        failed=failed,
        machine=machine(PACKAGES),
    )


def _key(result: RunResult) -> str:
    return f"{result.task}.{result.option}.seed{result.seed}.{result.bytes}"


@contextmanager
def _raising_on_sigterm() -> Generator[None]:
    """Turn SIGTERM into `StudyInterrupted`, as Ctrl-C is an exception already."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise StudyInterrupted(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def machines_of(results: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Return the machines that results were measured on, each once."""
    found: list[dict[str, Any]] = []
    for result in results:
        if result.machine not in found:
            found.append(result.machine)
    return found

# pyright: reportUnknownMemberType=false
"""Training one model: a loop over batches that can be killed at any step and goes on bit for bit.

Step i trains on batch i (`bgpt.data`) with the rates of the done share of the budget
(`bgpt.schedule`); nothing else enters, so the weights after step n are a function of the
configuration, the shards and the machine. `torch.use_deterministic_algorithms` is on: without it
two threads sum the gradient of the position table in any order, once a batch is large enough for
torch to share that work out (32,768 numbers). What it does not do: read `params.yaml` (`bgpt.run`),
print (`bgpt.progress`), or train on several devices.
"""

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from bgpt.bits_per_byte import bits_per_byte
from bgpt.checkpoint import read_config, save_model
from bgpt.config import ModelConfig
from bgpt.data import BatchStream, SampleView, TrainingSample, patch_batch
from bgpt.evaluate import evaluate, evaluation_samples
from bgpt.model import Bgpt
from bgpt.optim import make_optimizers
from bgpt.permutation import derived_seed
from bgpt.progress import Status
from bgpt.resume import TrainState, checkpoints, load_checkpoint, save_checkpoint
from bgpt.run import TrainConfig
from bgpt.telemetry import Evaluation, MetricsLog, Record


class TrainingDiverged(RuntimeError):  # noqa: N818 - reads as the sentence the user sees
    """A loss or gradient that is not finite."""


class TrainingInterrupted(RuntimeError):  # noqa: N818 - reads as the sentence the user sees
    """A signal ended the run after a checkpoint; the same command resumes it."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is trained on what, and where it goes."""

    model: ModelConfig
    train: TrainConfig
    train_view: SampleView
    test_view: SampleView
    run: Path
    """Run folder, already claimed (`bgpt.run.claim`)."""
    run_sha256: str
    provenance: dict[str, Any]
    """Kept in the final model's `config.json`, with step and parameters added."""


def is_finished(run: Path, run_sha256: str) -> bool:
    """Return whether `run` holds the final model of this configuration."""
    if not (run / "model").is_dir():
        return False
    return read_config(run / "model")[1].get("run_sha256") == run_sha256


def train(
    job: Job,
    *,
    show: Callable[[Status], None] = lambda _: None,
    signal_received: Callable[[], int | None] = lambda: None,
) -> None:
    """Train to the end of the budget, from the last checkpoint if there is one.

    `show` is called after every step. When `signal_received` returns a number, the run saves a
    checkpoint and ends with `TrainingInterrupted`. A finished run returns at once.

    Raises:
        TrainingDiverged: the loss or a gradient is not finite.
        TrainingInterrupted: see above.
        CheckpointError: the last checkpoint is damaged.
        ValueError: a sample that is too long, no CUDA device, nothing to train on.
    """
    if not is_finished(job.run, job.run_sha256):
        make_deterministic(job.train.threads)
        _Trainer(job).run(show, signal_received)
    shutil.rmtree(job.run / "checkpoints", ignore_errors=True)


def make_deterministic(threads: int) -> None:
    """Set torch up so that the same work gives the same bits again on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory finds bugs of others and costs time; nothing here reads it unwritten.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010


def first_weights(config: ModelConfig, seed: int) -> Bgpt:
    """Return the untrained model of a seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "first weights") >> 1)
        return Bgpt(config)


@final
class _Trainer:
    """Model, optimizers, batches and counters of one process' share of a run."""

    def __init__(self, job: Job) -> None:
        config = job.train
        if config.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("train.device is 'cuda' and torch finds no CUDA device; use 'cpu'")
        self._job, self._config = job, config
        self._budget, self._schedule = config.budget, config.schedule
        self._batches = BatchStream(
            job.train_view,
            batch_size=config.batch_size,
            window_batches=config.window_batches,
            seed=config.seed,
        )
        job.train_view.check_lengths(job.model.max_patches)
        self._test_samples = evaluation_samples(job.test_view, config.eval_samples)
        self._model = first_weights(job.model, config.seed).to(config.device)
        self._optimizers = make_optimizers(self._model, config.optimizer)
        self._state = TrainState()
        found = checkpoints(job.run)
        if found:
            self._state = load_checkpoint(found[-1], self._model, self._optimizers, job.run_sha256)
        self._log = MetricsLog(job.run, resumed_step=self._state.step if found else None)
        self._start_clocks()
        self._first_wall, self._first_bytes = time.monotonic(), self._state.bytes

    def run(
        self, show: Callable[[Status], None], signal_received: Callable[[], int | None]
    ) -> None:
        """Go on to the end of the budget and write the final model."""
        try:
            while self._progress(self._state) < 1:
                self._step()
                done = self._progress(self._state)
                show(self._status(done))
                self._write_metrics(is_last=done >= 1)
                if done < 1:
                    self._save_or_leave(signal_received())
        finally:
            self._log.close()
        provenance = {
            **self._job.provenance,
            "run_sha256": self._job.run_sha256,
            "step": self._state.step,
            "parameters": self._model.num_parameters(),
        }
        save_model(self._job.run / "model", self._model, provenance)

    def _step(self) -> None:
        """Train on the next batch."""
        samples = self._batches.batch(self._state.step)
        num_bytes = sum(sample.num_bytes for sample in samples)
        after = replace(
            self._state,
            step=self._state.step + 1,
            samples=self._state.samples + len(samples),
            bytes=self._state.bytes + num_bytes,
        )
        # The middle of the step: neither the first nor the last step has a rate of 0.
        middle = (self._progress(self._state) + min(self._progress(after), 1.0)) / 2
        self._optimizers.set_lr(self._schedule.scale(middle))
        self._optimizers.zero_grad()
        batch = patch_batch(samples, self._config.loss).to(self._config.device)
        loss = self._model.loss(batch)
        nats = float(loss.nats.detach())
        if not math.isfinite(nats):
            raise self._diverged("loss", nats, samples)
        (loss.nats / loss.num_tokens).backward()
        norm = self._optimizers.step()
        if not math.isfinite(norm):
            raise self._diverged("norm of the gradient", norm, samples)
        self._state = replace(
            after,
            logged_nats=self._state.logged_nats + nats,
            logged_bytes=self._state.logged_bytes + loss.num_bytes,
        )

    def _write_metrics(self, *, is_last: bool) -> None:
        """Write a line if one is due, with an evaluation if that is due."""
        step = self._state.step
        eval_due = is_last or step % self._config.eval_every == 0
        if not (eval_due or step % self._config.log_every == 0):
            return
        evaluation: Evaluation | None = None
        if eval_due and self._test_samples:
            self._model.eval()
            evaluation = evaluate(self._model, self._test_samples, self._config.device)
            self._model.train()
        wall_seconds, cpu_seconds = self._clocks()
        self._log.write(
            Record(
                step=step,
                samples=self._state.samples,
                bytes=self._state.bytes,
                wall_seconds=round(wall_seconds, 3),
                cpu_seconds=round(cpu_seconds, 3),
                train_bits_per_byte=self._train_bits_per_byte(),
                learning_rate=self._optimizers.learning_rate,
                eval=evaluation,
            )
        )
        self._state = replace(self._state, logged_nats=0.0, logged_bytes=0)

    def _save_or_leave(self, signal_number: int | None) -> None:
        """Write a checkpoint if one is due or a signal came; end in the second case."""
        if signal_number is None and self._state.step % self._config.checkpoint_every:
            return
        wall_seconds, cpu_seconds = self._clocks()
        self._state = replace(self._state, wall_seconds=wall_seconds, cpu_seconds=cpu_seconds)
        self._start_clocks()
        self._log.sync()
        path = save_checkpoint(
            self._job.run, self._state, self._model, self._optimizers, self._job.run_sha256
        )
        if signal_number is not None:
            raise TrainingInterrupted(
                f"stopped by signal {signal_number} after step {self._state.step}; saved {path}; "
                "run the same command again to go on",
                signal_number=signal_number,
            )

    def _progress(self, state: TrainState) -> float:
        return self._budget.progress(num_steps=state.step, num_bytes=state.bytes)

    def _train_bits_per_byte(self) -> float | None:
        if self._config.loss == "tokens" or not self._state.logged_bytes:
            return None
        return bits_per_byte(self._state.logged_nats, self._state.logged_bytes)

    def _status(self, done: float) -> Status:
        wall_seconds = time.monotonic() - self._first_wall
        num_bytes = self._state.bytes - self._first_bytes
        return Status(
            step=self._state.step,
            done=min(done, 1.0),
            bytes_per_second=num_bytes / max(wall_seconds, 1e-9),
            bits_per_byte=self._train_bits_per_byte(),
        )

    def _start_clocks(self) -> None:
        self._started_wall, self._started_cpu = time.monotonic(), time.process_time()

    def _clocks(self) -> tuple[float, float]:
        """Return wall and CPU seconds since the run began, former processes included."""
        return (
            self._state.wall_seconds + time.monotonic() - self._started_wall,
            self._state.cpu_seconds + time.process_time() - self._started_cpu,
        )

    def _diverged(self, what: str, value: float, samples: list[TrainingSample]) -> TrainingDiverged:
        found = checkpoints(self._job.run)
        last = f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"
        return TrainingDiverged(
            f"step {self._state.step + 1}: the {what} is {value}; samples "
            f"{', '.join(sample.key for sample in samples)}; {last}; "
            "lower the learning rate and train into another folder"
        )

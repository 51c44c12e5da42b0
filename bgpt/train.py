# pyright: reportUnknownMemberType=false
"""Training one model: a loop over batches that can be killed at any step and goes on bit for bit.

Step i trains on batch i (`bgpt.data`) with the rates of the done share of the budget
(`bgpt.schedule`); nothing else enters, so the weights after step n are a function of the
configuration, the shards and the machine. `torch.use_deterministic_algorithms` is on: without it
two threads sum the gradient of the position table in any order, once a batch is large enough for
torch to share that work out (32,768 numbers). The gradient itself, in parts and over ranks, is
`bgpt.gradients`'. What it does not do: read `params.yaml` (`bgpt.run`) or print (`bgpt.progress`).
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from bgpt.bits_per_byte import bits_per_byte
from bgpt.checkpoint import first_not_finite, save_model
from bgpt.checkpoints_kept import DEFAULT_KEPT, is_best, prune, save_best, with_best
from bgpt.curriculum import open_batches
from bgpt.evaluate import Evaluations, NotFinite
from bgpt.gradients import Gradients
from bgpt.initial import first_weights, freeze, take_weights
from bgpt.job import (
    Job,
    TrainingDiverged,
    TrainingInterrupted,
    diverged,
    is_finished,
    make_deterministic,
)
from bgpt.model import Bgpt
from bgpt.optim import make_optimizers
from bgpt.prefetch import open_loader
from bgpt.progress import Status
from bgpt.resume import (
    TrainState,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from bgpt.sharding import own_part, place, whole_model, whole_tensors
from bgpt.telemetry import CorpusFigures, MetricsLog, Record


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
        TrainingDiverged: a loss, a gradient or a weight is not finite.
        TrainingInterrupted: see above.
        CheckpointError: the last checkpoint is damaged.
        EngineError: a loader's worker died.
        ValueError: a sample that is too long, no CUDA device, nothing to train on.
    """
    if not is_finished(job.run, job.run_sha256):
        make_deterministic(job.train.threads)
        trainer = _Trainer(job)
        try:
            trainer.run(show, signal_received)
        finally:
            trainer.close()
    if job.train.keep_checkpoints is None and job.ranks.is_first:
        shutil.rmtree(job.run / "checkpoints", ignore_errors=True)


@final
class _Trainer:
    """Model, optimizers, batches and counters of one process' share of a run."""

    def __init__(self, job: Job) -> None:
        config = job.train
        if config.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("train.device is 'cuda' and torch finds no CUDA device; use 'cpu'")
        self._job, self._config, self._ranks = job, config, job.ranks
        self._budget, self._schedule = config.budget, config.schedule
        self._batches = open_batches(job.train_view, config)
        for view in job.train_view.parts.values():
            view.check_lengths(job.model.max_patches)
        self._evaluations = Evaluations(
            job.test_view, config.eval_samples, job.model.max_patches, job.ranks
        )
        self._model = first_weights(job.model, config.seed)
        found = checkpoints(job.run)
        if config.init_from is not None and not found:
            take_weights(self._model, config.init_from)
        freeze(self._model, config.freeze)
        place(self._model, config.device, job.ranks)
        self._optimizers = make_optimizers(self._model, config.optimizer)
        self._state = TrainState()
        if found:
            self._state = load_checkpoint(found[-1], self._model, self._optimizers, job.run_sha256)
        self._ranks.check_same("checkpoints", f"{self._state.step:064x}")
        if config.compile:
            # In place: names of parameters stay, and so do checkpoints.
            self._model.patch_level.compile(dynamic=True)
            self._model.byte_level.compile(dynamic=True)
        self._corpora = [name for name in job.train_view.parts if name]
        self._gradients = Gradients(
            self._model, device=config.device, ranks=self._ranks, corpora=self._corpora
        )
        resumed_step = self._state.step if found else None
        self._log = (
            MetricsLog(job.run, resumed_step=resumed_step, trackers=job.trackers)
            if self._ranks.is_first
            else None
        )
        self._loader = open_loader(self._batches, config, self._ranks, self._state.step)
        self._start_clocks()
        self._first_wall, self._first_bytes = time.monotonic(), self._state.bytes

    def run(
        self, show: Callable[[Status], None], signal_received: Callable[[], int | None]
    ) -> None:
        """Go on to the end of the budget and write the final model."""
        while self._progress(self._state) < 1:
            self._step()
            done = self._progress(self._state)
            show(self._status(done))
            self._write_metrics(is_last=done >= 1)
            if done < 1:
                # A signal that reaches one rank ends them all, after the same step.
                self._save_or_leave(self._ranks.largest(signal_received() or 0))
        self._ranks.on_all(self._check_finite)
        provenance = {**self._provenance(), "step": self._state.step}
        self._on_first(lambda model: save_model(self._job.run / "model", model, provenance))

    def close(self) -> None:
        """End the loader's workers and bring the metrics to disk."""
        self._loader.close()
        self._gradients.close()
        if self._log is not None:
            self._log.close()

    def _step(self) -> None:
        """Train on the next batch."""
        share = self._ranks.on_all(self._loader.next)
        after = replace(
            self._state,
            step=self._state.step + 1,
            samples=self._state.samples + share.num_samples,
            bytes=self._state.bytes + share.num_bytes,
        )
        # The middle of the step: neither the first nor the last step has a rate of 0.
        middle = (self._progress(self._state) + min(self._progress(after), 1.0)) / 2
        self._optimizers.set_lr(self._schedule.scale(middle))
        self._optimizers.zero_grad()
        sums = self._gradients.fill(share)
        if not math.isfinite(sums.nats):
            raise self._lost("loss", sums.nats)
        norm = self._optimizers.step()
        if not math.isfinite(norm):
            raise self._lost("norm of the gradient", norm)
        self._state = after.with_loss(
            sums.nats, sums.num_bytes, sums.nats_by_corpus, sums.bytes_by_corpus
        )

    def _write_metrics(self, *, is_last: bool) -> None:
        """Write a line if one is due, with an evaluation if that is due."""
        step, config = self._state.step, self._config
        if config.samples_every and (is_last or step % config.samples_every == 0):
            self._on_first(self._write_samples)
        eval_due = is_last or step % config.eval_every == 0
        if not (eval_due or step % config.log_every == 0):
            return
        try:
            whole, by_corpus = self._evaluations.of(self._model) if eval_due else (None, {})
        except NotFinite as error:
            raise diverged(self._job.run, step, str(error)) from error
        wall_seconds, cpu_seconds = self._clocks()
        corpora = {
            name: CorpusFigures(
                train_bits_per_byte=self._bits_per_byte(
                    self._state.nats_by_corpus.get(name, 0.0),
                    self._state.bytes_by_corpus.get(name, 0),
                ),
                eval=by_corpus.get(name),
            )
            for name in self._corpora
        }
        if self._log is not None:
            self._log.write(
                Record(
                    step=step,
                    samples=self._state.samples,
                    bytes=self._state.bytes,
                    wall_seconds=round(wall_seconds, 3),
                    cpu_seconds=round(cpu_seconds, 3),
                    train_bits_per_byte=self._train_bits_per_byte(),
                    learning_rate=self._optimizers.learning_rate,
                    eval=whole,
                    corpora=corpora or None,
                )
            )
        self._state = self._state.without_loss()
        if whole is not None and is_best(self._state, whole):
            self._state = with_best(self._state, whole)
            self._on_first(
                lambda model: save_best(self._job.run, model, step, whole, self._provenance())
            )

    def _on_first(self, work: Callable[[Bgpt], object]) -> None:
        """Do `work` on rank 0, with all weights."""
        model = whole_model(self._model, self._ranks)
        self._ranks.on_first(lambda: work(model))

    def _write_samples(self, model: Bgpt) -> None:
        model.eval()
        self._job.write_samples(model, self._state.step)
        model.train()

    def _save_or_leave(self, signal_number: int) -> None:
        """Write a checkpoint if one is due or a signal came; end in the second case."""
        if not signal_number and self._state.step % self._config.checkpoint_every:
            return
        wall_seconds, cpu_seconds = self._clocks()
        self._state = replace(self._state, wall_seconds=wall_seconds, cpu_seconds=cpu_seconds)
        self._start_clocks()
        self._ranks.on_all(self._check_finite)
        optimizer_state = whole_tensors(self._optimizers.state_dict(), self._ranks)
        self._on_first(lambda model: self._save(model, optimizer_state))
        if signal_number:
            path = checkpoint_path(self._job.run, self._state.step)
            raise TrainingInterrupted(
                f"stopped by signal {signal_number} after step {self._state.step}; saved {path}; "
                "run the same command again to go on",
                signal_number=signal_number,
            )

    def _save(self, model: Bgpt, optimizer_state: Mapping[str, Tensor]) -> None:
        """Write a checkpoint, then let go of older ones."""
        if self._log is not None:
            self._log.sync()
        run = self._job.run
        save_checkpoint(run, self._state, model, optimizer_state, self._job.run_sha256)
        prune(run, self._config.keep_checkpoints or DEFAULT_KEPT)

    def _provenance(self) -> dict[str, Any]:
        return {
            **self._job.provenance,
            "run_sha256": self._job.run_sha256,
            "parameters": self._model.num_parameters(),
        }

    def _progress(self, state: TrainState) -> float:
        return self._budget.progress(num_steps=state.step, num_bytes=state.bytes)

    def _train_bits_per_byte(self) -> float | None:
        return self._bits_per_byte(self._state.logged_nats, self._state.logged_bytes)

    def _bits_per_byte(self, nats: float, num_bytes: int) -> float | None:
        if self._config.loss == "tokens" or not num_bytes:
            return None
        return bits_per_byte(nats, num_bytes)

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
        """Return wall and CPU seconds since the run began, of all its processes."""
        (cpu_seconds,) = self._ranks.sums(time.process_time() - self._started_cpu)
        return (
            self._state.wall_seconds + time.monotonic() - self._started_wall,
            self._state.cpu_seconds + cpu_seconds,
        )

    def _lost(self, what: str, value: float) -> TrainingDiverged:
        """Return what ends the run when the present step's figure is not finite."""
        step = self._state.step
        keys = [sample.key for sample in self._batches.batch(step)]
        return diverged(self._job.run, step + 1, f"the {what} is {value}", keys)

    def _check_finite(self) -> None:
        """Let no model or checkpoint with a value that is not finite take a good one's place."""
        held = {**self._model.state_dict(), **self._optimizers.state_dict()}
        odd = first_not_finite({name: own_part(tensor) for name, tensor in held.items()})
        if odd is not None:
            what = f"{odd} holds values that are not finite"
            raise diverged(self._job.run, self._state.step, what)

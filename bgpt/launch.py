"""From a run's configuration and a folder of corpora to a finished run folder.

Joins what the other modules keep apart: `params.yaml` (`bgpt.run`), the corpus
(`pipelines.corpus`), the claim on the run folder and the trainer. `bgpt train` is a thin command
over `launch`.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bgpt.data import SampleView
from bgpt.progress import Status
from bgpt.run import RunConfig, claim, is_same_run, read_record, record_sha256, run_record
from bgpt.train import Job, is_finished, train
from pipelines.corpus import Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Launched:
    """What became of a run."""

    model: Path
    """Folder of the final model."""
    was_finished: bool
    """Nothing was left to do."""


def launch(
    config: RunConfig,
    *,
    data: Path,
    run: Path,
    restart_if_changed: bool = False,
    show: Callable[[Status], None] = lambda _: None,
    signal_received: Callable[[], int | None] = lambda: None,
) -> Launched:
    """Train `config` on the corpus below `data` into folder `run`, or go on with it.

    The shards that are read, of both sides, are hashed first. `restart_if_changed` deletes a run of
    another configuration, corpus or code instead of refusing it. See `bgpt.train.train` for `show`,
    `signal_received` and what else is raised.

    Raises:
        CorpusError: the corpus is missing, incomplete or too small.
        ShardCorrupt: a shard does not match its recorded hash.
        RunMismatch: `run` belongs to another configuration.
    """
    corpus = Corpus.open(data / config.corpus)
    limit = config.train.train_samples
    _delete_left_over(run)
    found = read_record(run)
    if limit is None and found is not None and not restart_if_changed:
        # "All there are" means those of the start: the corpus may have grown since.
        recorded: object = found.get("corpus", {}).get("train_samples")
        limit = recorded if isinstance(recorded, int) else None
    samples = corpus.side("train", limit)
    record = run_record(
        config,
        corpus_sha256=corpus.manifest.config_sha256,
        train_samples=len(samples),
        shards=samples.shard_sha256,
    )
    sides = (samples, corpus.side("test"))
    views = [
        SampleView(
            side,
            extensions=corpus.extensions,
            prompt_bytes=corpus.prompt_bytes,
            directions=config.train.directions,
        )
        for side in sides
    ]
    if restart_if_changed and found is not None and not is_same_run(found, record):
        _delete(run)
    claim(run, record)
    run_sha256 = record_sha256(record)
    was_finished = is_finished(run, run_sha256)
    if not was_finished:
        for side in sides:
            side.verify()
    job = Job(
        model=config.model,
        train=config.train,
        train_view=views[0],
        test_view=views[1],
        run=run,
        run_sha256=run_sha256,
        provenance={
            "run": config.name,
            "corpus": config.corpus,
            "corpus_sha256": corpus.manifest.config_sha256,
            "train_samples": len(samples),
            "prompt_bytes": corpus.prompt_bytes,
            "directions": dict(config.train.directions),
            **_machine(corpus.manifest.settings),
        },
    )
    train(job, show=show, signal_received=signal_received)
    return Launched(model=run / "model", was_finished=was_finished)


def _machine(settings: Mapping[str, object]) -> dict[str, object]:
    """Return which machine a corpus simulates, for the model's provenance; empty for others."""
    return {"cpu": settings["options"]} if settings.get("source") == "cpu" else {}


def _delete(run: Path) -> None:
    """Empty the folder of a run, all at once: a kill leaves the old run or none, never half of it.

    What a kill leaves beside it, the next start deletes.
    """
    aside = _aside(run)
    run.resolve().rename(aside)
    run.resolve().mkdir()
    shutil.rmtree(aside)


def _delete_left_over(run: Path) -> None:
    """Delete what a kill during `_delete` left."""
    aside = _aside(run)
    if aside.exists():
        shutil.rmtree(aside)


def _aside(run: Path) -> Path:
    """Return where a run that is being deleted stands; beside it, so that a rename is enough."""
    folder = run.resolve()
    return folder.with_name(f".{folder.name}.old")

"""From a run's configuration and a folder of corpora to a finished run folder.

Joins what the other modules keep apart: `params.yaml` (`bgpt.run`), the corpus
(`pipelines.corpus`), the claim on the run folder and the trainer. `bgpt train` is a thin command
over `launch`.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bgpt.initial import weights_file
from bgpt.job import Job, is_finished
from bgpt.progress import Status
from bgpt.ranks import Ranks, open_ranks
from bgpt.run import RunConfig, claim, flat, is_same_run, read_record, record_sha256, run_record
from bgpt.samples_log import SampleLog
from bgpt.sides import open_sides, recorded_samples
from bgpt.trackers import check_trackers, open_trackers
from bgpt.train import train


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
    track: Sequence[str] = (),
    shard: bool = False,
) -> Launched:
    """Train `config` on the corpora below `data` into folder `run`, or go on with it.

    The shards that are read, of both sides, are hashed first. `restart_if_changed` deletes a run of
    another configuration, corpus or code instead of refusing it. With `shard` every process holds a
    part of the weights alone; like their number this is no part of the configuration. See
    `bgpt.train.train` for `show`, `signal_received` and what else is raised.

    Raises:
        CorpusError: the corpus is missing, incomplete or too small.
        ShardCorrupt: a shard does not match its recorded hash.
        RunMismatch: `run` belongs to another configuration.
        RanksDiffer: ranks see different corpora, parameters or code.
        TrackerMissing: what `track` names is not installed.
        ValueError: `shard` with one process, or with train.compile.
    """
    if shard and config.train.compile:
        raise ValueError(
            "--shard: train.compile is true, and compiled levels need all their weights at once; "
            "set train.compile: false, or leave --shard out"
        )
    with open_ranks(config.train.device, is_sharded=shard) as ranks:
        return _launch(
            config,
            data=data,
            run=run,
            restart_if_changed=restart_if_changed,
            track=track,
            show=show,
            signal_received=signal_received,
            ranks=ranks,
        )


def _launch(
    config: RunConfig,
    *,
    data: Path,
    run: Path,
    restart_if_changed: bool,
    track: Sequence[str],
    show: Callable[[Status], None],
    signal_received: Callable[[], int | None],
    ranks: Ranks,
) -> Launched:
    """Do what `launch` says, as one of `ranks`."""
    check_trackers(track)
    ranks.on_first(lambda: _delete_left_over(run))
    found = read_record(run)
    # "All there are" means those of the start: the corpus may have grown since.
    recorded = {} if found is None or restart_if_changed else recorded_samples(found)
    sides = ranks.on_all(lambda: open_sides(config, data, recorded))
    init_sha256 = None
    if config.train.init_from is not None:
        with weights_file(config.train.init_from).open("rb") as file:
            init_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record = run_record(config, sides.corpora, init_sha256=init_sha256)
    run_sha256 = record_sha256(record)
    ranks.check_same("corpora, parameters or code", run_sha256, flat(record))

    def claim_folder() -> None:
        if restart_if_changed and found is not None and not is_same_run(found, record):
            _delete(run)
        claim(run, record)

    ranks.on_first(claim_folder)
    was_finished = is_finished(run, run_sha256)
    if not was_finished:
        ranks.on_each_machine(sides.verify)
    is_first = ranks.is_first
    job = Job(
        model=config.model,
        train=config.train,
        train_view=sides.train,
        test_view=sides.test,
        run=run,
        run_sha256=run_sha256,
        provenance={"run": config.name, **sides.provenance()},
        ranks=ranks,
        trackers=open_trackers(track, run, config.name) if is_first and not was_finished else (),
        write_samples=SampleLog(run, sides.test).write,
    )
    train(job, show=show if is_first else lambda _: None, signal_received=signal_received)
    return Launched(model=run / "model", was_finished=was_finished)


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

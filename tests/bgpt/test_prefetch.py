"""Workers prepare the same batches as the trainer itself, and a dead one ends the run at once."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from counting import Counting, job, mixed, view

from bgpt.data import BatchStream, SampleStream, SampleView
from bgpt.job import TrainingInterrupted, make_deterministic
from bgpt.patching import PatchBatch
from bgpt.prefetch import Loader, open_loader
from bgpt.prepared import Prepared, prepare
from bgpt.progress import Status
from bgpt.ranks import ALONE, Ranks
from bgpt.telemetry import read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig
from pipelines.engine import EngineError

MIXTURE = mixed(job(Path("/nonexistent")), {"one": 3.0, "three": 1.0, "pairs": 2.0}).train_view


@pytest.fixture(autouse=True)
def _one_thread_and_no_orphan() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    make_deterministic(1)
    yield
    assert not multiprocessing.active_children()


@contextmanager
def loader(
    config: TrainConfig, ranks: Ranks = ALONE, samples: SampleStream = MIXTURE, first: int = 0
) -> Generator[Loader]:
    stream = BatchStream(samples, batch_size=config.batch_size, window_batches=3, seed=0)
    opened = open_loader(stream, config, ranks, first)
    try:
        yield opened
    finally:
        opened.close()


def assert_same(ours: Prepared, theirs: Prepared) -> None:
    assert replace(ours, parts=()) == replace(theirs, parts=())
    assert len(ours.parts) == len(theirs.parts) > 0
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        assert a.corpora == b.corpora
        for field in fields(PatchBatch):
            x, y = getattr(a.batch, field.name), getattr(b.batch, field.name)
            assert type(x) is type(y), field.name
            if isinstance(x, torch.Tensor):
                assert x.dtype == y.dtype
                assert torch.equal(x, y), field.name
            else:
                assert x == y, field.name


CASES = [
    # workers, batch size, parts, packed, rank of ranks
    (1, 5, 1, False, ALONE),
    (2, 5, 2, True, ALONE),
    (2, 5, 3, False, Ranks(rank=1, count=2, local_rank=1)),
    (2, 1, 1, False, Ranks(rank=1, count=2, local_rank=1)),  # a rank without a sample
]


@pytest.mark.parametrize(("workers", "batch_size", "accumulate", "packing", "ranks"), CASES)
def test_workers_prepare_what_the_trainer_itself_would(
    workers: int, batch_size: int, accumulate: int, packing: bool, ranks: Ranks
) -> None:
    config = TrainConfig(steps=9, batch_size=batch_size, accumulate=accumulate, packing=packing)
    first = 4
    with (
        loader(config, ranks, first=first) as alone,
        loader(replace(config, workers=workers), ranks, first=first) as helped,
    ):
        assert len(multiprocessing.active_children()) == workers
        for _ in range(7):
            assert_same(helped.next(), alone.next())


def test_a_rank_reads_its_share_alone() -> None:
    read: list[int] = []

    class Watched(Counting):
        def read(self, index: int, /) -> tuple[bytes, ...]:
            read.append(index)
            return super().read(index)

    files = SampleView(Watched(50), extensions=["bin"], prompt_bytes=0, directions={})
    assert files.sizes.shape == (1, 50)
    read.clear()  # this corpus has no index: its sizes were read
    config = TrainConfig(steps=1, batch_size=7)
    batch = BatchStream(files, batch_size=7, window_batches=5, seed=0).batch(2)
    prepared = prepare(batch, config, Ranks(rank=1, count=2))
    assert read == [sample.index for sample in batch[1::2]]
    assert (prepared.num_samples, len(read)) == (7, 3)
    assert prepared.num_bytes == sum(len(Counting(50).read(s.index)[0]) for s in batch)


def test_a_run_has_the_same_bits_with_any_number_of_workers_changed_on_the_way(
    tmp_path: Path,
) -> None:
    homes = [tmp_path / name for name in ("none", "two", "changed")]
    for home in homes:
        home.mkdir()
    train(job(homes[0]))
    train(job(homes[1], workers=2))
    polls = iter(range(1, 99))
    for workers in (2, 0, 1):
        try:
            train(
                job(homes[2], workers=workers),
                signal_received=lambda: signal.SIGTERM if next(polls) in (3, 8) else None,
            )
        except TrainingInterrupted:
            assert workers != 1
    models = [(home / "model/model.safetensors").read_bytes() for home in homes]
    assert models[0] == models[1] == models[2]
    figures = [
        [(r["step"], r["bytes"], r["train_bits_per_byte"], r["eval"]) for r in read_metrics(home)]
        for home in homes
    ]
    assert len(figures[0]) == 6
    assert figures[0] == figures[1] == figures[2]


def test_a_worker_that_is_killed_ends_the_run_in_one_line_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    for home in (whole, hurt):
        home.mkdir()
    large: dict[str, Any] = {"batch_size": 100}  # a pipe holds two or three
    train(job(whole, **large))

    def kill_one(status: Status) -> None:
        if status.step == 2:
            victim = multiprocessing.active_children()[0].pid
            assert victim is not None
            os.kill(victim, signal.SIGKILL)

    with pytest.raises(
        EngineError,
        match=r"^loader worker [12] of 2 died \(exit code -9\); the machine may be out of memory\. "
        r"Run the same command again, with fewer train\.workers: .* last checkpoint$",
    ):
        train(job(hurt, workers=2, **large), show=kill_one)
    assert not multiprocessing.active_children()
    train(job(hurt, workers=1, **large))
    ours, theirs = (home / "model/model.safetensors" for home in (hurt, whole))
    assert ours.read_bytes() == theirs.read_bytes()


class Unreadable(Counting):
    """Files of which one is gone."""

    def read(self, index: int, /) -> tuple[bytes, ...]:
        if index == 11 and multiprocessing.parent_process() is not None:
            raise OSError("shard-000000.tar: gone")
        return super().read(index)


class Broken(Counting):
    """Files that a bug makes unreadable."""

    def column(self, name: str, /) -> list[int]:
        raise TypeError(f"a bug in {name}")


def test_what_goes_wrong_in_a_worker_is_raised_in_the_trainer() -> None:
    config = TrainConfig(steps=9, batch_size=25, workers=1)
    files = [
        SampleView(kind(50), extensions=["bin"], prompt_bytes=0, directions={})
        for kind in (Unreadable, Broken)
    ]
    with loader(config, samples=files[0]) as lost:
        taken = (lost.next() for _ in range(2))  # a whole epoch
        with pytest.raises(ValueError, match=r"^shard-000000\.tar: gone$"):
            list(taken)
    with (
        loader(config, samples=files[1]) as broken,
        pytest.raises(EngineError, match=r"Traceback(?s:.*)TypeError: a bug in size_bin"),
    ):
        broken.next()


def test_workers_that_wait_with_a_full_pipe_end_when_they_are_closed() -> None:
    config = TrainConfig(steps=9, batch_size=400, workers=2)  # more than a pipe holds
    with loader(config, samples=view(50)) as opened:
        opened.next()
        assert len(multiprocessing.active_children()) == 2

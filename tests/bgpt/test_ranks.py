"""Two ranks train as one does: the same batches, the same curve, one writer, and no hang.

Run as a program by `torchrun`, this file is one of the ranks: it trains every scenario in turn and
puts into `RANK.json` what only that rank knows. The tests read what it left.
"""

import json
import multiprocessing
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from counting import CountingSource, job
from two_ranks import (
    SOURCES,
    WEIGHTS,
    assert_same_curve,
    into,
    noisy,
    scenarios,
    some_samples,
    stop_after,
    torchrun,
)

from bgpt.checkpoint import read_tensors, save_tensors
from bgpt.gradients import Gradients
from bgpt.job import TrainingDiverged, TrainingInterrupted, make_deterministic
from bgpt.prepared import prepare
from bgpt.progress import Status
from bgpt.ranks import ALONE, OtherRankFailed, Ranks, is_first_process, open_ranks
from bgpt.resume import checkpoints
from bgpt.telemetry import read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig
from pipelines.build import build_corpus
from pipelines.corpus import Corpus
from pipelines.engine import EngineError


def gradient(num_samples: int, ranks: Ranks, accumulate: int = 1) -> dict[str, Tensor]:
    """The gradient of one global batch, as every rank has it in the end."""
    model = noisy(SOURCES)
    config = TrainConfig(steps=1, accumulate=accumulate)
    Gradients(model, ranks=ranks).fill(prepare(some_samples(num_samples), config, ranks))
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def rank_main(home: Path) -> None:
    with open_ranks("cpu") as ranks:
        found: dict[str, Any] = {"rank": ranks.rank, "sums": ranks.sums(1.0, ranks.rank)}
        for one in scenarios(home, ranks).values():
            train(one)
        for number in (1, 3, 8):
            save_tensors(
                home / f"gradient-{number}-{ranks.rank}.safetensors", gradient(number, ranks)
            )
        # A signal that only the second rank sees, after the 5th step.
        polls = iter(range(1, 99))
        stopping = into(home, "stopped", ranks=ranks)

        def signal_received() -> int | None:
            return signal.SIGTERM if next(polls) == 5 and ranks.rank == 1 else None

        try:
            train(stopping, signal_received=signal_received)
        except TrainingInterrupted as stopped:
            found["stopped"] = str(stopped)
        # A run that one process began: see the fixture.
        train(into(home, "begun-alone", ranks=ranks))
        # The loss of one rank's share alone is not a number.
        broken = into(home, "diverged", ranks=ranks, steps=4)
        if ranks.rank == 1:
            broken = replace(broken, ranks=_Broken(rank=1, count=2, local_rank=1))
        try:
            train(broken)
        except TrainingDiverged as diverged:
            found["diverged"] = str(diverged)
        # A worker of the second rank's loader is killed.
        crowded = into(home, "helped", ranks=ranks, steps=9, batch_size=200, workers=1)
        try:
            train(crowded, show=partial(kill_worker, ranks.rank))
        except (EngineError, OtherRankFailed) as error:
            found["helped"] = f"{type(error).__name__}: {error}"
        found["left"] = len(multiprocessing.active_children())
        for name, sha256 in (("same", "ab" * 32), ("other", f"{ranks.rank:064x}")):
            try:
                ranks.check_same("corpora", sha256)
                found[name] = "agreed"
            except ValueError as error:
                found[name] = str(error)

        def fail() -> None:
            raise OSError("disk full")

        try:
            ranks.on_first(fail)
        except (OSError, ValueError) as error:
            found["failed"] = f"{type(error).__name__}: {error}"
        found["largest"] = ranks.largest(7 * ranks.rank)
        (home / f"rank-{ranks.rank}.json").write_text(json.dumps(found))


def kill_worker(rank: int, status: Status) -> None:
    """Kill the only worker of rank 1 after the first step."""
    if (rank, status.step) == (1, 1):
        (worker,) = multiprocessing.active_children()
        worker.kill()


class _Broken(Ranks):
    """Ranks whose own nats are not a number."""

    __slots__ = ()

    def sums(self, *values: float) -> list[float]:
        broken = (float("nan"), *values[1:]) if len(values) == 2 else values
        return Ranks.sums(self, *broken)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two ranks trained everything."""
    home = tmp_path_factory.mktemp("two")
    make_deterministic(1)
    stop_after(into(home, "begun-alone"), 5)
    done = torchrun(__file__, str(home))
    assert done.returncode == 0, done.stderr[-4000:]
    return home


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, trained by one process."""
    home = tmp_path_factory.mktemp("one")
    for alone in scenarios(home, ALONE).values():
        train(alone)
    return home


def left(two: Path, rank: int) -> dict[str, Any]:
    return json.loads((two / f"rank-{rank}.json").read_text())


@pytest.mark.parametrize("name", ["plain", "uneven", "idle", "mixed", "frozen"])
def test_two_ranks_have_the_curve_of_one(one: Path, two: Path, name: str) -> None:
    assert_same_curve(one / name, two / name)


@pytest.mark.parametrize("num_samples", [1, 3, 8])
def test_ranks_and_parts_leave_the_gradient_of_the_whole_batch(two: Path, num_samples: int) -> None:
    whole = gradient(num_samples, ALONE)
    others = [read_tensors(two / f"gradient-{num_samples}-{rank}.safetensors") for rank in (0, 1)]
    others += [gradient(num_samples, ALONE, accumulate) for accumulate in (2, 3, 99)]
    scale = max(float(tensor.abs().max()) for tensor in whole.values())
    for other in others:
        assert other.keys() == whole.keys()
        for name, tensor in whole.items():
            assert torch.allclose(tensor, other[name], rtol=1e-4, atol=1e-6 * scale), name


def test_corpora_are_told_apart_over_all_ranks(one: Path, two: Path) -> None:
    a, b = (read_metrics(home / "mixed") for home in (one, two))
    for x, y in zip(a, b, strict=True):
        assert list(x["corpora"]) == list(y["corpora"]) == list(WEIGHTS)
        for name in WEIGHTS:
            assert x["corpora"][name]["train_bits_per_byte"] == pytest.approx(
                y["corpora"][name]["train_bits_per_byte"], rel=1e-3
            )


def test_a_run_that_one_rank_began_goes_on_with_two(one: Path, two: Path) -> None:
    assert_same_curve(one / "plain", two / "begun-alone")


def test_a_run_that_two_ranks_began_goes_on_with_one(one: Path, two: Path) -> None:
    train(job(two / "stopped"))
    assert_same_curve(one / "plain", two / "stopped")


def test_a_signal_to_one_rank_stops_all_after_the_same_step(two: Path) -> None:
    for rank in (0, 1):
        assert "stopped by signal 15 after step 5; saved" in left(two, rank)["stopped"]


def test_a_loss_that_is_not_finite_on_one_rank_stops_all(two: Path) -> None:
    for rank in (0, 1):
        assert "step 1: the loss is nan; samples count1-" in left(two, rank)["diverged"]


def test_a_dead_worker_of_one_rank_ends_all(two: Path) -> None:
    found = [left(two, rank) for rank in (0, 1)]
    assert found[0]["helped"] == "OtherRankFailed: rank 0: stopped, because another rank failed"
    assert found[1]["helped"].startswith("EngineError: loader worker 1 of 1 died (exit code -9); ")
    assert [one["left"] for one in found] == [0, 0]


def test_only_rank_0_writes(two: Path) -> None:
    for name in ("plain", "mixed"):
        steps = [record["step"] for record in read_metrics(two / name)]
        assert steps == sorted(set(steps))
        assert not checkpoints(two / name)


def test_ranks_that_see_other_shards_are_refused_on_every_rank(two: Path) -> None:
    for rank in (0, 1):
        assert left(two, rank)["same"] == "agreed"
        assert left(two, rank)["other"] == (
            "rank 1 has other corpora than rank 0: sha256 is 000000000000 there and 000000000000 "
            "on rank 0; give every rank the same folders and parameters"
        )


def test_what_fails_on_rank_0_ends_the_others(two: Path) -> None:
    assert left(two, 0)["failed"] == "OSError: disk full"
    assert left(two, 1)["failed"] == (
        "OtherRankFailed: rank 1: stopped, because another rank failed"
    )
    assert [left(two, rank)["largest"] for rank in (0, 1)] == [7, 7]
    assert [left(two, rank)["sums"] for rank in (0, 1)] == [[2.0, 1.0], [2.0, 1.0]]


def test_a_process_alone_shares_nothing_and_waits_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_ranks("cpu") as ranks:
        assert ranks is ALONE
    assert ALONE.share("abc") == ["a", "b", "c"]
    assert (ALONE.sums(1.5, 2), ALONE.largest(3)) == ([1.5, 2], 3)
    ALONE.check_same("corpora", "ab")
    with pytest.raises(OSError, match="disk full"):
        ALONE.on_first(_full)
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def _full() -> None:
    raise OSError("disk full")


def test_two_data_folders_that_differ_in_one_shard_are_refused_by_its_name(tmp_path: Path) -> None:
    for rank, odd in ((0, -1), (1, 1100)):
        source = CountingSource(corpus="files", odd_number=odd)
        build_corpus(source, {"train": 1200, "test": 10}, tmp_path / f"data-{rank}/files")
    model = {"patch_width": 16, "patch_layers": 1, "patch_heads": 2, "patch_ffn": 32,
             "byte_width": 16, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 32,
             "max_patches": 16}  # fmt: skip
    run = {"corpus": "files", "model": model, "train": {"steps": 2}}
    (tmp_path / "params.yaml").write_text(json.dumps({"runs": {"r": run}}))
    command = f"exec {sys.executable} -m bgpt train r --data data-$RANK --out run"
    done = torchrun("--no-python", "sh", "-c", command, cwd=tmp_path)
    assert done.returncode == 1
    hashes = [
        Corpus.open(tmp_path / f"data-{rank}/files").side("train").shard_sha256[1]
        for rank in (0, 1)
    ]
    assert hashes[0] != hashes[1]
    message = (
        "error: rank 1 has other corpora, parameters or code than rank 0: "
        f"corpus.train_shards.files-000001.tar is {hashes[1]} there and {hashes[0]} on "
        "rank 0; give every rank the same folders and parameters"
    )
    assert message in done.stderr.splitlines(), done.stderr[-4000:]
    assert not (tmp_path / "run").exists()


if __name__ == "__main__":
    make_deterministic(1)
    rank_main(Path(sys.argv[1]))

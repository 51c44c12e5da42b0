"""A run can be killed at any step and ends with the same bits; what goes wrong is said in one line.

Run as a program, this file trains the same tiny job into a folder: the process that tests kill.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bgpt.checkpoint import CheckpointError, load_model, read_config, read_tensors
from bgpt.config import ModelConfig
from bgpt.data import SampleView
from bgpt.gradients import Gradients
from bgpt.initial import first_weights
from bgpt.interrupt import Interrupts
from bgpt.job import Job, TrainingDiverged, TrainingInterrupted, make_deterministic
from bgpt.model import Bgpt, LossSums
from bgpt.optim import OptimConfig
from bgpt.patch_level import PatchLevel
from bgpt.patching import PatchBatch
from bgpt.prepared import Prepared
from bgpt.progress import Status
from bgpt.resume import checkpoints
from bgpt.telemetry import Evaluation, read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig

TINY = ModelConfig(
    patch_width=16, patch_layers=1, patch_heads=2, patch_ffn=32,
    byte_width=16, byte_layers=1, byte_heads=2, byte_ffn=32, max_patches=16,
    norm="rms", activation="relu2", qk_norm=True, biases=False, byte_embedding=8, tied_head=False,
    patch_at_every_byte=True, prev=True,
)  # fmt: skip
STEPS = 40


class Counting:
    """Files of 20..51 bytes that count upwards: easy to learn."""

    def __init__(self, num_samples: int) -> None:
        self._num_samples = num_samples

    def __len__(self) -> int:
        return self._num_samples

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return (bytes((index + i) % 64 for i in range(20 + index % 32)),)

    def key(self, index: int, /) -> str:
        return f"count-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name == "size_bin"
        return [len(self.read(i)[0]) for i in range(len(self))]


def job(run: Path, **changes: Any) -> Job:
    config = TrainConfig(
        steps=STEPS, batch_size=4, window_batches=5, threads=1, log_every=3, eval_every=9,
        eval_samples=6, checkpoint_every=7,
        optimizer=OptimConfig(kind="muon", lr=4e-3, muon_lr=0.02),
    )  # fmt: skip
    views = [
        SampleView(Counting(n), extensions=["bin"], prompt_bytes=16, directions={})
        for n in (50, 10)
    ]
    run.mkdir(parents=True, exist_ok=True)
    return Job(
        model=TINY,
        train=replace(config, **changes),
        train_view=views[0],
        test_view=views[1],
        run=run,
        run_sha256="a" * 64,
        provenance={"corpus": "counting"},
    )


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed")
    train(job(run))
    return run


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def without_clocks(run: Path) -> list[dict[str, Any]]:
    clocks = ("wall_seconds", "cpu_seconds")
    return [{k: v for k, v in r.items() if k not in clocks} for r in read_metrics(run)]


def test_training_learns_and_leaves_model_and_metrics(undisturbed: Path) -> None:
    records = read_metrics(undisturbed)
    assert [r["step"] for r in records] == sorted({*range(3, 41, 3), *range(9, 41, 9), 40})
    assert list(records[0]) == [
        "step", "samples", "bytes", "wall_seconds", "cpu_seconds", "train_bits_per_byte",
        "learning_rate", "eval",
    ]  # fmt: skip
    assert records[-1]["samples"] == 160
    evals = [r["eval"] for r in records if r["eval"]]
    assert [r["step"] for r in records if r["eval"]] == [9, 18, 27, 36, 40]
    assert set(evals[0]) == {"bits_per_byte", "byte_accuracy", "n"}
    assert evals[-1]["bits_per_byte"] < evals[0]["bits_per_byte"] - 0.3
    assert 0 <= evals[-1]["byte_accuracy"] <= 1
    assert evals[-1]["n"] == 6
    assert records[-1]["train_bits_per_byte"] < records[0]["train_bits_per_byte"] - 0.5
    assert all(a["wall_seconds"] <= b["wall_seconds"] for a, b in zip(records, records[1:]))  # noqa: B905, RUF007
    config, provenance = read_config(undisturbed / "model")
    assert config == TINY
    assert provenance["corpus"] == "counting"
    assert provenance["step"] == STEPS
    assert provenance["parameters"] == load_model(undisturbed / "model").num_parameters()
    assert not (undisturbed / "checkpoints").exists()


def test_the_scalars_stand_in_dvclives_folder_too(undisturbed: Path) -> None:
    folder = undisturbed / "dvclive"
    summary = json.loads((folder / "metrics.json").read_text())
    last = read_metrics(undisturbed)[-1]
    assert summary["step"] == 40
    assert summary["eval"]["bits_per_byte"] == last["eval"]["bits_per_byte"]
    lines = (folder / "plots/metrics/train_bits_per_byte.tsv").read_text().splitlines()
    assert len(lines) == 1 + len(read_metrics(undisturbed))


@pytest.mark.parametrize("stop_after", [[1], [7], [20, 21], [39]])
def test_a_stopped_run_goes_on_to_the_same_bits_and_the_same_metrics(
    undisturbed: Path, tmp_path: Path, stop_after: list[int]
) -> None:
    step = 0

    def show(status: Status) -> None:
        nonlocal step
        step = status.step

    for stop in stop_after:
        with pytest.raises(TrainingInterrupted, match=f"after step {stop}; saved .*step-0000"):
            train(
                job(tmp_path),
                show=show,
                signal_received=lambda stop=stop: signal.SIGTERM if step == stop else None,
            )
    train(job(tmp_path), show=show)
    assert weights(tmp_path) == weights(undisturbed)
    assert without_clocks(tmp_path) == without_clocks(undisturbed)
    tsv = "dvclive/plots/metrics/train_bits_per_byte.tsv"
    assert (tmp_path / tsv).read_text() == (undisturbed / tsv).read_text()


def test_a_killed_process_goes_on_to_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    for until_step in (3, 24):
        child = start_child(tmp_path)
        wait_for_step(tmp_path, until_step, child)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=20)
        assert child.returncode == -signal.SIGKILL
        assert not (tmp_path / "model").exists()
    assert [p.name for p in checkpoints(tmp_path)][-1] >= "step-000021"
    train(job(tmp_path))
    assert weights(tmp_path) == weights(undisturbed)
    assert without_clocks(tmp_path) == without_clocks(undisturbed)


def test_three_kills_at_random_steps_and_other_numbers_of_workers_change_no_bit(
    undisturbed: Path, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    kills = sorted(draw.sample(range(1, STEPS), 3))
    for step, workers in zip(kills, draw.sample(range(3), 3), strict=True):
        child = start_child(tmp_path, workers, step)
        _, errors = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, errors
        # The communication above ends when nobody holds the pipe of errors: no worker is left.
        assert not (tmp_path / "model").exists()
    assert len(checkpoints(tmp_path)) == min(2, (kills[-1] - 1) // 7)
    train(job(tmp_path, workers=1))
    assert weights(tmp_path) == weights(undisturbed)
    assert without_clocks(tmp_path) == without_clocks(undisturbed)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_terminated_process_saves_first(tmp_path: Path, workers: int) -> None:
    child = start_child(tmp_path, workers)
    wait_for_step(tmp_path, 3, child)
    os.killpg(child.pid, signal.SIGTERM)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 128 + signal.SIGTERM
    assert "stopped by signal 15 after step" in errors
    assert len(checkpoints(tmp_path)) >= 1


def start_child(run: Path, workers: int = 0, kill_after: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, str(run), str(workers), str(kill_after)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_step(run: Path, step: int, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert child.poll() is None, child.communicate()[1]
        path = run / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and json.loads(lines[-1])["step"] >= step:
            return
        time.sleep(0.01)
    pytest.fail(f"step {step} never came")


def test_two_threads_give_the_same_bits_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(job(tmp_path / name, threads=2, steps=2, batch_size=32))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_two_threads_sum_the_gradient_of_the_position_table_in_one_order() -> None:
    # Large enough for torch to share the sum out; without the flag 19 of 20 gradients differed.
    level = PatchLevel(replace(TINY, patch_width=160, max_patches=20))
    torch.nn.init.zeros_(level.positions)
    torch.nn.init.zeros_(level.join.weight)
    embedding = torch.nn.Embedding(257, 8).requires_grad_(False)
    at = torch.arange(20).repeat(512)
    tokens = torch.zeros(len(at), 16, dtype=torch.int64)
    weight = torch.randn(len(at), 160, generator=torch.Generator().manual_seed(0))
    make_deterministic(2)
    gradients: set[bytes] = set()
    for _ in range(8):
        level.zero_grad()
        level.embed(tokens, at, embedding, torch.float32).backward(weight)
        assert level.positions.grad is not None
        gradients.add(level.positions.grad.numpy().tobytes())
    assert len(gradients) == 1


def test_a_finished_run_does_nothing(undisturbed: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file()}

    def never(status: Status) -> None:
        pytest.fail(f"trained {status}")

    train(job(undisturbed), show=never)
    assert {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.is_file()} == before


def test_another_seed_gives_other_weights(undisturbed: Path, tmp_path: Path) -> None:
    train(job(tmp_path, seed=1))
    assert weights(tmp_path) != weights(undisturbed)


def test_a_budget_in_bytes_ends_at_the_step_that_reaches_it(tmp_path: Path) -> None:
    train(job(tmp_path, steps=None, bytes=1000, log_every=1))
    records = read_metrics(tmp_path)
    assert records[-1]["bytes"] >= 1000 > records[-2]["bytes"]
    rates = [r["learning_rate"] for r in records]
    assert max(rates) == pytest.approx(4e-3)
    assert 0 < rates[-1] < 2e-3
    assert rates[-1] < rates[-2]


@pytest.mark.parametrize("loss", ["file", "tokens"])
def test_other_loss_regions_train_too(tmp_path: Path, loss: str) -> None:
    train(job(tmp_path, steps=3, log_every=1, loss=loss))
    figures = [r["train_bits_per_byte"] for r in read_metrics(tmp_path)]
    assert all(figure is None for figure in figures) is (loss == "tokens")


def test_a_loss_that_is_not_finite_names_step_samples_and_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    loss_of = Bgpt.loss

    def broken(self: Bgpt, batch: Any) -> LossSums:
        nonlocal calls
        calls += 1
        sums = loss_of(self, batch)
        return replace(sums, nats=sums.nats * float("nan")) if calls == 10 else sums

    monkeypatch.setattr(Bgpt, "loss", broken)
    with pytest.raises(
        TrainingDiverged,
        match=r"step 10: the loss is nan; samples count-\d+(, count-\d+){3}; "
        r"the last good checkpoint is .*step-000007; lower the learning rate",
    ):
        train(job(tmp_path))
    assert not (tmp_path / "model").exists()


def test_a_gradient_that_is_not_finite_names_step_samples_and_a_checkpoint_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = Gradients.fill
    calls = iter(range(1, 99))

    def broken(self: Gradients, share: Prepared) -> Any:
        sums = fill(self, share)
        if next(calls) == 10:
            gradient = model_of(self).byte_level.head.weight.grad
            assert gradient is not None
            gradient[0, 0] = float("inf")
        return sums

    monkeypatch.setattr(Gradients, "fill", broken)
    with pytest.raises(
        TrainingDiverged,
        match=r"step 10: the norm of the gradient is (inf|nan); samples count-\d+(, count-\d+){3}; "
        r"the last good checkpoint is .*step-000007; lower",
    ):
        train(job(tmp_path))
    load_model(checkpoints(tmp_path)[-1])


def model_of(gradients: Gradients) -> Bgpt:
    model = gradients._loss.model  # pyright: ignore[reportPrivateUsage]
    assert isinstance(model, Bgpt)
    return model


@pytest.mark.parametrize("at", [14, STEPS])
def test_weights_that_are_not_finite_take_no_good_ones_place(tmp_path: Path, at: int) -> None:
    models: list[Bgpt] = []

    def show(status: Status) -> None:
        if status.step == at:
            with torch.no_grad():
                models[0].patch_level.positions[0, 0] = float("nan")

    def made(*args: Any) -> Bgpt:
        models.append(first_weights(*args))
        return models[0]

    def scripted(*_: object) -> Evaluation:
        return Evaluation(bits_per_byte=8, byte_accuracy=0, n=1)

    kept = 7 if at == 14 else 35
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bgpt.train.first_weights", made)
        patch.setattr("bgpt.evaluate.evaluate", scripted)
        with pytest.raises(
            TrainingDiverged,
            match=rf"step {at}: patch_level.positions holds values that are not finite; the last "
            rf"good checkpoint is .*step-0000{kept:02}; lower the learning rate",
        ):
            train(job(tmp_path), show=show)
    assert not (tmp_path / "model").exists()
    assert checkpoints(tmp_path)[-1].name == f"step-0000{kept:02}"
    load_model(checkpoints(tmp_path)[-1])


def test_an_evaluation_that_is_not_finite_names_step_and_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Bgpt.score

    def broken(self: Bgpt, batch: PatchBatch, dtype: torch.dtype) -> Any:
        scores = score(self, batch, dtype)
        nats = scores.nats.clone()
        nats[[1, 3]] = float("nan")
        return replace(scores, nats=nats)

    monkeypatch.setattr(Bgpt, "score", broken)
    with pytest.raises(
        TrainingDiverged,
        match=r"^step 9: the loss is not finite on 2 samples of evaluation: count-1, count-3; the "
        r"last good checkpoint is .*step-000007; lower",
    ):
        train(job(tmp_path))


def test_a_damaged_checkpoint_names_itself_and_its_cure(tmp_path: Path) -> None:
    interrupted(tmp_path)
    file = checkpoints(tmp_path)[-1] / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"optimizer.safetensors: sha256 .* does not match"):
        train(job(tmp_path))
    with pytest.raises(CheckpointError, match=r"delete .*step-000021 and run the same command"):
        train(job(tmp_path))
    (checkpoints(tmp_path)[-1] / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"state.json: not readable"):
        train(job(tmp_path))


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path)
    file = checkpoints(tmp_path)[-1] / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 2, "new": 1}))
    with pytest.raises(
        CheckpointError,
        match=r"step-000021/state.json: written in format version 2, and .* up to 1; update it$",
    ):
        train(job(tmp_path))


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with pytest.raises(CheckpointError, match=r"belongs to another configuration \(aaaaaaaaaaaa"):
        train(replace(job(tmp_path), run_sha256="b" * 64))


def test_only_the_last_checkpoints_are_kept_and_half_written_ones_go(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".step-000007.part").mkdir(parents=True)
    interrupted(tmp_path)
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-000014", "step-000021"]
    tensors = read_tensors(tmp_path / "checkpoints/step-000021/optimizer.safetensors")
    assert any(tensor.abs().sum() > 0 for tensor in tensors.values())


def interrupted(run: Path) -> None:
    polls = 0

    def signal_received() -> int | None:
        nonlocal polls
        polls += 1
        return signal.SIGINT if polls == 21 else None

    with pytest.raises(TrainingInterrupted):
        train(job(run), signal_received=signal_received)


def test_a_sample_that_is_too_long_stops_the_run_before_its_first_step(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"more than the 4 patches"):
        train(replace(job(tmp_path), model=replace(TINY, max_patches=4)))
    assert not (tmp_path / "metrics.jsonl").exists()


def test_first_weights_follow_from_the_seed_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a, b, c = (first_weights(TINY, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_making_torch_deterministic_sets_threads() -> None:
    make_deterministic(1)
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


if __name__ == "__main__":
    WORKERS, KILL_AFTER = map(int, sys.argv[2:])

    def pass_time(status: Status) -> None:
        if status.step == KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0 if KILL_AFTER else 0.03)

    try:
        with Interrupts() as interrupts:
            train(
                job(Path(sys.argv[1]), workers=WORKERS),
                show=pass_time,
                signal_received=lambda: interrupts.received,
            )
    except TrainingInterrupted as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signal_number)

"""On a GPU: packing by kernel, accumulation, compilation and resuming leave the curve as it is."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bgpt.checkpoint import read_tensors
from bgpt.config import preset
from bgpt.data import SampleView, patch_batch
from bgpt.initial import first_weights
from bgpt.job import Job, TrainingInterrupted
from bgpt.layers import ragged
from bgpt.optim import OptimConfig
from bgpt.packing import FlatSamples, PackedRows, packed, packed_rows
from bgpt.telemetry import read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig

pytestmark = pytest.mark.gpu

# cuBLAS looks at this once, at its first product in the process.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


class Counting:
    """Files of 20..1219 bytes that count upwards."""

    def __init__(self, num_samples: int) -> None:
        self._num_samples = num_samples

    def __len__(self) -> int:
        return self._num_samples

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return (bytes((index + i) % 256 for i in range(20 + index * 97 % 1200)),)

    def key(self, index: int, /) -> str:
        return f"count-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name == "size_bin"
        return [len(self.read(i)[0]) for i in range(len(self))]


def view(num_samples: int) -> SampleView:
    return SampleView(Counting(num_samples), extensions=["bin"], prompt_bytes=16, directions={})


def job(run: Path, name: str = "compact-cpu", **changes: Any) -> Job:
    run.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(
        steps=12, batch_size=24, window_batches=2, device="cuda", log_every=2, eval_every=6,
        eval_samples=6, checkpoint_every=4,
        optimizer=OptimConfig(kind="muon", lr=3e-4 if name == "paper" else 4e-3),
    )  # fmt: skip
    return Job(
        model=replace(preset(name), bf16=True),
        train=replace(config, **changes),
        train_view=view(200),
        test_view=view(6),
        run=run,
        run_sha256="a" * 64,
        provenance={},
    )


def test_the_kernel_attends_as_the_mask_does_backwards_too() -> None:
    lengths = torch.tensor([2, 77, 3, 1, 40, 40], device="cuda")
    rows = ragged(lengths)
    kernel = packed(lengths, rows, torch.bfloat16)
    assert isinstance(kernel, FlatSamples)
    mask = packed_rows(lengths, rows)
    assert isinstance(mask, PackedRows)
    generator = torch.Generator("cuda").manual_seed(0)
    weight = torch.randn(rows.num_rows, 5, 32, device="cuda", generator=generator)
    weight[len(rows.index) :] = 0
    found: list[list[torch.Tensor]] = []
    for how, dtype in ((kernel, torch.bfloat16), (mask, torch.float32)):
        generator.manual_seed(1)
        q, k, v = (
            torch.randn(rows.num_rows, 5, 32, device="cuda", generator=generator)
            .to(dtype)
            .requires_grad_()
            for _ in range(3)
        )
        mixed = how.attend(q, k, v)
        (mixed.float() * weight).sum().backward()
        assert q.grad is not None
        assert k.grad is not None
        assert v.grad is not None
        found.append([mixed.float(), q.grad.float(), k.grad.float(), v.grad.float()])
    for ours, expected in zip(*found, strict=True):
        error = (ours - expected)[: len(rows.index)].abs().max()
        assert error < 0.03 * expected.abs().max()


@pytest.mark.parametrize("name", ["paper", "compact-cpu"])
def test_packed_and_unpacked_have_one_loss_in_float32(name: str) -> None:
    model = first_weights(replace(preset(name), bf16=False), 0).to("cuda")
    samples = [view(40).sample(i, None) for i in range(16)]
    losses = [
        model.loss(patch_batch(samples, "target", is_packed=is_packed).to("cuda"))
        for is_packed in (False, True)
    ]
    means = [float(loss.nats.detach()) / loss.num_tokens for loss in losses]
    assert means[1] == pytest.approx(means[0], abs=1e-5)


@pytest.mark.parametrize(
    "changes", [{"packing": True}, {"accumulate": 3}, {"compile": True}], ids=str
)
@pytest.mark.parametrize("name", ["paper", "compact-cpu"])
def test_an_option_keeps_the_curve(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    train(job(tmp_path / "plain", name))
    train(job(tmp_path / "other", name, **changes))
    plain, other = read_metrics(tmp_path / "plain"), read_metrics(tmp_path / "other")
    assert len(plain) == 6
    for a, b in zip(plain, other, strict=True):
        assert (a["step"], a["bytes"]) == (b["step"], b["bytes"])
        # bfloat16 keeps 3 digits.
        assert b["train_bits_per_byte"] == pytest.approx(a["train_bits_per_byte"], rel=0.02)


@pytest.mark.parametrize("name", ["paper", "compact-cpu"])
@pytest.mark.parametrize("packing", [False, True])
def test_a_stopped_run_goes_on_to_the_same_bits(
    tmp_path: Path, name: str, *, packing: bool
) -> None:
    train(job(tmp_path / "whole", name, packing=packing))
    polls = iter(range(1, 99))
    with pytest.raises(TrainingInterrupted):
        train(
            job(tmp_path / "stopped", name, packing=packing),
            signal_received=lambda: signal.SIGTERM if next(polls) == 7 else None,
        )
    train(job(tmp_path / "stopped", name, packing=packing))
    whole, stopped = (
        read_tensors(tmp_path / name / "model/model.safetensors") for name in ("whole", "stopped")
    )
    assert all(torch.equal(tensor, stopped[name]) for name, tensor in whole.items())

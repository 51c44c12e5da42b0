"""On a GPU the presets train, and they weigh as on the CPU."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bgpt.byte_model import TrainedByteModel
from bgpt.checkpoint import load_model
from bgpt.config import preset
from bgpt.data import SampleView
from bgpt.initial import first_weights
from bgpt.job import Job
from bgpt.optim import OptimConfig
from bgpt.protocol import Continuation, Prompt
from bgpt.telemetry import read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig
from pipelines.sample import Segment

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
    """Files of 100..299 bytes that count upwards, alone or with the same file as "conversion"."""

    def __init__(self, num_samples: int, num_segments: int) -> None:
        self._num_samples, self._num_segments = num_samples, num_segments

    def __len__(self) -> int:
        return self._num_samples

    def read(self, index: int, /) -> tuple[bytes, ...]:
        size = 100 + index * 7 % 200
        return (bytes((index + i) % 256 for i in range(size)),) * self._num_segments

    def key(self, index: int, /) -> str:
        return f"count-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name.startswith("size_")
        return [len(self.read(i)[0]) for i in range(len(self))]


def job(run: Path, name: str, kind: str) -> Job:
    pairs = name == "compact-music"
    directions = {"abc-to-midi": 1.0} if pairs else {}
    views = [
        SampleView(
            Counting(n, 2 if pairs else 1),
            extensions=["abc", "mid"] if pairs else ["bin"],
            prompt_bytes=0 if pairs else 80,
            directions=directions,
        )
        for n in (48, 6)
    ]
    run.mkdir(parents=True, exist_ok=True)
    return Job(
        model=preset(name),
        train=TrainConfig(
            steps=2, batch_size=24, window_batches=2, directions=directions, device="cuda",
            log_every=1, eval_every=2, eval_samples=6, checkpoint_every=1,
            optimizer=OptimConfig(
                kind="muon" if kind == "muon" else "adamw", lr=3e-4 if name == "paper" else 4e-3
            ),
        ),
        train_view=views[0],
        test_view=views[1],
        run=run,
        run_sha256="a" * 64,
        provenance={},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("name", ["paper", "compact-cpu", "compact-music"])
def test_two_steps_train_on_a_gpu_and_give_the_same_bits_twice(
    tmp_path: Path, name: str, kind: str
) -> None:
    for run in ("a", "b"):
        train(job(tmp_path / run, name, kind))
    first, second = (load_model(tmp_path / run).state_dict() for run in ("a", "b"))
    untrained = first_weights(preset(name), 0).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert sum(not torch.equal(first[key], untrained[key]) for key in first) > len(first) // 2
    records = read_metrics(tmp_path / "a")
    assert [r["step"] for r in records] == [1, 2]
    assert 0 < records[-1]["eval"]["bits_per_byte"] < 12


@pytest.mark.parametrize("name", ["paper", "compact-cpu", "compact-music"])
def test_scores_on_a_gpu_agree_with_the_cpu(name: str) -> None:
    source = Segment(extension="abc", data=bytes(range(90))) if name == "compact-music" else None
    requests = [
        Continuation(
            prompt=Prompt(source=source, extension="bin", given=bytes(80)),
            target=bytes((i * 7 + size) % 256 for i in range(size)),
        )
        for size in (1, 100, 260)
    ]
    # Noise on all weights, so that the parts that begin at zero have a say.
    model = first_weights(replace(preset(name), bf16=False), 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    on_cpu = [
        s.total_nats / (len(r.target) + 1)
        for r, s in zip(requests, TrainedByteModel(model).score(requests), strict=True)
    ]
    on_gpu = [
        s.total_nats / (len(r.target) + 1)
        for r, s in zip(requests, TrainedByteModel(model.to("cuda")).score(requests), strict=True)
    ]
    assert on_gpu == pytest.approx(on_cpu, abs=1e-3, rel=1e-3)


@pytest.mark.parametrize("name", ["paper", "compact-cpu"])
def test_a_gpu_writes_what_the_cpu_writes(name: str) -> None:
    model = first_weights(preset(name), 0)
    prompts = [Prompt(source=None, extension="bin", given=bytes(range(n))) for n in (16, 20)]
    on_cpu = TrainedByteModel(model).generate(prompts, [40, 50])
    assert TrainedByteModel(model.to("cuda")).generate(prompts, [40, 50]) == on_cpu
    assert sum(map(len, on_cpu)) > 0

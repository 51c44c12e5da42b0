"""A tiny training job for tests: files that count upwards, a model that learns them in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bgpt.config import ModelConfig
from bgpt.data import SampleView
from bgpt.job import Job
from bgpt.mixture import Mixture
from bgpt.optim import OptimConfig
from bgpt.ranks import ALONE, Ranks
from bgpt.train_config import TrainConfig
from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import JsonValue, Plan, SampleShard, Side
from pipelines.sample import Sample, Segment, sample_key
from pipelines.split import side_of_group

TINY = ModelConfig(
    patch_width=16, patch_layers=1, patch_heads=2, patch_ffn=32,
    byte_width=16, byte_layers=1, byte_heads=2, byte_ffn=32, max_patches=16,
    norm="rms", activation="relu2", qk_norm=True, biases=False, byte_embedding=8, tied_head=False,
    patch_at_every_byte=True, prev=True,
)  # fmt: skip

TIERS: list[JsonValue] = [
    {
        "pairs": pairs, "base_tunes": tunes, "keys": 1,
        "real": pairs, "transposed": 0, "recombined": 0,
    }
    for pairs, tunes in ((10, 9), (30, 20))
]  # fmt: skip
"""What a corpus of pairs says of its tiers."""


class Counting:
    """Files of 20..51 bytes that count upwards by `step`; pairs of them, if asked for."""

    def __init__(self, num_samples: int, *, step: int = 1, num_segments: int = 1) -> None:
        self._num_samples, self._step, self._num_segments = num_samples, step, num_segments

    def __len__(self) -> int:
        return self._num_samples

    def read(self, index: int, /) -> tuple[bytes, ...]:
        data = bytes((index + self._step * i) % 64 for i in range(20 + index % 32))
        return (data,) * self._num_segments

    def key(self, index: int, /) -> str:
        return f"count{self._step}-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name.startswith("size_")
        return [len(self.read(i)[0]) for i in range(len(self))]


def view(num_samples: int, *, step: int = 1) -> SampleView:
    return SampleView(
        Counting(num_samples, step=step), extensions=["bin"], prompt_bytes=16, directions={}
    )


def pairs(num_samples: int) -> SampleView:
    return SampleView(
        Counting(num_samples, num_segments=2),
        extensions=["abc", "mid"],
        prompt_bytes=0,
        directions={"abc-to-midi": 1.0},
    )


def job(run: Path, *, ranks: Ranks = ALONE, model: ModelConfig = TINY, **changes: Any) -> Job:
    """Return a job of 12 steps into `run`, which must be there."""
    config = TrainConfig(
        steps=12, batch_size=8, window_batches=2, threads=1, log_every=2, eval_every=6,
        eval_samples=5, checkpoint_every=4,
        optimizer=OptimConfig(kind="muon", lr=4e-3, muon_lr=0.02),
    )  # fmt: skip
    return Job(
        model=model,
        train=replace(config, **changes),
        train_view=view(50),
        test_view=view(10),
        run=run,
        run_sha256="a" * 64,
        provenance={"corpus": "counting"},
        ranks=ranks,
    )


def mixed(job: Job, weights: Mapping[str, float]) -> Job:
    """Return the job on files that count by one, by three, and pairs of files."""
    train = {"one": view(50), "three": view(20, step=3), "pairs": pairs(30)}
    test = {"one": view(6), "three": view(6, step=3), "pairs": pairs(6)}
    return replace(job, train_view=Mixture(train, weights), test_view=Mixture(test, weights))


@dataclass(frozen=True, kw_only=True, slots=True)
class CountingSource:
    """A corpus of counting files, one in ten of them longer; or of pairs of them."""

    corpus: str
    is_paired: bool = False
    long_bytes: int = 40
    odd_number: int = -1
    """Of a sample that reads backwards, which the corpus' settings do not tell."""

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        return Plan(
            corpus=self.corpus,
            settings={"source": "counting", "long_bytes": self.long_bytes},
            extensions=("abc", "mid") if self.is_paired else ("bin",),
            prompt_bytes=0 if self.is_paired else 16,
            provenance={"tiers": TIERS} if self.is_paired else {},
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        return SampleShard(samples=[self._sample(side, first + i) for i in range(count)])

    def _sample(self, side: Side, number: int) -> Sample:
        size = self.long_bytes if number % 10 == 7 else 40
        data = bytes((number + i) % 64 for i in range(size))
        data = data[::-1] if number == self.odd_number else data
        extensions = ("abc", "mid") if self.is_paired else ("bin",)
        key = sample_key(self.corpus, side, number)
        group = next(g for k in range(999) if side_of_group(g := f"{number}-{k}") == side)
        segments = tuple(Segment(extension=extension, data=data) for extension in extensions)
        return Sample(key=key, segments=segments, group=group)

"""One rank's share of one step, ready for the model: a pure function of batch, configuration, rank.

Only the samples of the share are read. It can be made anywhere, in the trainer or in a process
beside it (`bgpt.prefetch`), and it knows no weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bgpt.data import DrawnSample, patch_batch
from bgpt.patching import PatchBatch
from bgpt.ranks import ALONE, Ranks
from bgpt.train_config import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Samples that go through the model at once."""

    batch: PatchBatch
    corpora: tuple[str, ...]
    """Name of the corpus of every row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One rank's share of one global batch."""

    num_samples: int
    """Of the global batch."""
    num_bytes: int
    """True bytes of the global batch, sources and given bytes included."""
    parts: tuple[Part, ...]
    is_idle: bool = False
    """The share is empty: the only part is there to take part, at weight 0."""


def prepare(samples: Sequence[DrawnSample], config: TrainConfig, ranks: Ranks = ALONE) -> Prepared:
    """Read and lay out this rank's share of `samples`, the global batch, in `accumulate` parts.

    Raises:
        ShardCorrupt: a shard is missing or of another size.
    """
    share = ranks.share(samples)
    is_idle = not share
    parts = [list(samples[:1])] if is_idle else _parts(share, config.accumulate)
    patch_size = samples[0].view.patch_size
    return Prepared(
        num_samples=len(samples),
        num_bytes=sum(sample.num_bytes for sample in samples),
        parts=tuple(
            Part(
                batch=patch_batch(
                    [sample.read() for sample in part],
                    config.loss,
                    is_packed=config.packing,
                    patch_size=patch_size,
                ),
                corpora=tuple(sample.corpus for sample in part),
            )
            for part in parts
        ),
        is_idle=is_idle,
    )


def _parts(samples: list[DrawnSample], count: int) -> list[list[DrawnSample]]:
    """Cut `samples` into at most `count` runs, none empty, whose sizes differ by one at most."""
    count = min(count, len(samples))
    cuts = [len(samples) * i // count for i in range(count + 1)]
    return [samples[a:b] for a, b in pairwise(cuts)]

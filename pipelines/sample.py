"""A sample: what a source produces, a shard stores and everything to the right reads.

It says nothing of files or tars; `pipelines.shards` does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
EXTENSION_PATTERN = re.compile(r"[a-z0-9]{1,15}")

MetaValue = str | int | float


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One file of a sample: its extension without the dot, and its bytes."""

    extension: str
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One or two files that belong together, with what the split and the index need."""

    key: str
    """Unique in its corpus; lower-case letters, digits, `-` and `_`."""
    segments: tuple[Segment, ...]
    group: str
    """Samples of one group never stand on both sides of the split."""
    label: int | None = None
    meta: Mapping[str, MetaValue] = field(default_factory=dict[str, MetaValue])
    """Further columns of `index.parquet`; the same names for every sample of a corpus."""


def sample_key(corpus: str, side: str, number: int) -> str:
    """Return the key of sample `number` (from 0) on one side of a corpus.

    >>> sample_key("cpu-toy", "test", 12)
    'cpu-toy-test-00000012'
    """
    return f"{corpus}-{side}-{number:08d}"

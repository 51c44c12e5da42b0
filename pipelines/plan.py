"""Plan and Source: who decides what a corpus holds, and who makes its shards.

A `Source` answers two calls. `plan` takes the global view once: distinctness, clusters, the split,
which tune in which key. `shard` then makes any one shard out of the plan alone, in any process, in
any order. So **a shard is a pure function of (plan, side, first sample number, count)**, and a
corpus may be built by one worker or many, and killed at any moment.

This module knows no source, no file and no tar; `pipelines.build` joins the parts.

What a source promises, beyond the types below:

1. *Prefix.* Sample `i` of a side is the same whatever `needed` was given to `plan` and whatever
   `first` and `count` are given to `shard`. So a corpus grows without touching its first shards,
   and a short last shard is a prefix of the full one. (Where `Plan.numbers` is set, `needed` is
   part of `Plan.settings` instead, and another number makes another corpus.)
2. *Full.* `shard` returns exactly `count` samples: what is dropped is replaced inside the shard.
3. *Keys.* Sample `first + j` has the key `pipelines.sample.sample_key(corpus, side, first + j)`.
4. *Split.* Every group's side is `pipelines.split.side_of_group(group)`, unless `Plan.split` is
   "given": then the plan counts the groups that stand on both sides.
5. *No clock, no host.* Bytes depend on `Plan.settings` alone; whatever they depend on (seed, system
   version, converter hash, hash of the catalogue) stands there.
6. *Engine.* `plan` may hand parts of its work to the `engine` that it is given; whether that runs
   them here or in many processes, in whatever order, the plan is the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, cast

from pipelines.engine import IN_PROCESS, Engine
from pipelines.sample import Sample

Side: TypeAlias = Literal["train", "test"]
SIDES: tuple[Side, ...] = ("train", "test")

SAMPLES_PER_SHARD = 1000
"""Kept samples in every shard but the last of a side."""

JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
ColumnType: TypeAlias = Literal["str", "int", "float"]
SplitRule: TypeAlias = Literal["group", "given"]


class SamplesUnreachable(ValueError):  # noqa: N818 - a state of the world, named as such
    """More samples were asked for than the source can give; names the maximum.

    >>> str(SamplesUnreachable("abc-midi", "train", wanted=20000, maximum=10931))
    'abc-midi: 20000 train samples wanted, but there are only 10931; ask for at most 10931'
    """

    def __init__(
        self, corpus: str, side: Side, *, wanted: int, maximum: int, why: str = ""
    ) -> None:
        super().__init__(
            f"{corpus}: {wanted} {side} samples wanted, but there are only {maximum}; "
            f"ask for at most {maximum}" + (f": {why}" if why else "")
        )
        self.corpus: str = corpus
        self.side: Side = side
        self.wanted: int = wanted
        self.maximum: int = maximum


class SourceError(ValueError):
    """The source cannot be used as configured (an empty folder, a missing program); one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything about a corpus that needs a global view; sent once to every worker."""

    corpus: str
    """The corpus' name; part of every key and shard name."""
    settings: Mapping[str, JsonValue]
    """All that decides the bytes: `source` ("cpu" or "music"), `seed`, `options` (a mapping of the
    options as read), and versions or hashes of whatever makes the bytes. Never the number of
    samples, a path, or the version of Python or a package (a converter's hash, yes)."""
    extensions: tuple[str, ...]
    """Extensions of a sample's segments, in order: `("bin",)` or `("abc", "mid")`."""
    prompt_bytes: int = 0
    """Leading bytes of the file that are given when it is a simulation; 0 in conversion."""
    columns: Mapping[str, ColumnType] = field(default_factory=dict[str, ColumnType])
    """Names and types of `Sample.meta`, in the order of the index's columns."""
    split: SplitRule = "group"
    """Who says on which side a sample stands: its group's hash ("group"), or the source."""
    overlap: Mapping[str, int] = field(default_factory=dict[str, int])
    """Groups on both sides by the source's word for them; only with a split that is "given"."""
    numbers: Mapping[Side, int] | None = None
    """How many samples each side gets, where the source decides and not the caller: `needed` is
    then what it draws, before some are dropped."""
    available: Mapping[Side, int] | None = None
    """The most samples there are on each side; `None` where a source draws without end (it then
    raises `SamplesUnreachable` itself, should it run dry)."""
    read: int = 0
    """Candidates that the plan looked at: `read` = sum of `available` + sum of `dropped`; 0 for a
    source that draws (its drops are counted by shard)."""
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Candidates dropped in planning, by reason (values of the source's closed StrEnum)."""
    provenance: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"])
    """Shown in the manifest, not hashed: `licence`, where the material is from, the citation."""
    payload: object = None
    """The source's own part: arrays, lists; picklable, and nothing but its source reads it."""

    def __post_init__(self) -> None:
        """Refuse groups on both sides under a rule that allows none."""
        if self.overlap and self.split != "given":
            raise ValueError(f"overlap {dict(self.overlap)}: not allowed, for split is 'group'")

    @property
    def config_sha256(self) -> str:
        """Return the hash that marks every shard of this configuration; sample counts excluded."""
        content = {
            "corpus": self.corpus,
            "settings": self.settings,
            "extensions": self.extensions,
            "prompt_bytes": self.prompt_bytes,
            "columns": list(self.columns.items()),
            "samples_per_shard": SAMPLES_PER_SHARD,
        }
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleShard:
    """The samples of one shard, and what was dropped on the way: produced = kept + dropped."""

    samples: Sequence[Sample]
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Draws or candidates consumed for these samples and not kept, by reason. Counted so that a
    shard's counts depend on its own samples only, not on where the corpus ends."""
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    """What else is counted over the samples, e.g. instructions by class; summed in the manifest."""


class Source(Protocol):
    """Where a corpus comes from. An object of plain configuration: picklable, cheap to make.

    `pipelines/sources/cpu.py` holds `CpuOptions` and `CpuSource`, `music.py` holds `MusicOptions`
    and `MusicSource`. The options are frozen dataclasses read from `params.yaml`; both sources are
    made as `CpuSource(corpus=NAME, seed=SEED, options=OPTIONS)`.
    """

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        """Take the global view for at least `needed` samples a side.

        `engine` runs what of it can be done in parts; the plan is the same whichever does.

        Raises:
            SamplesUnreachable: the source knows that it cannot give so many. (Where
                `Plan.available` is set, the caller checks it.)
            SourceError: the source cannot be used as configured.
        """
        ...

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Make samples `first` to `first + count - 1` of one side; runs in a worker process.

        `first` is a multiple of `SAMPLES_PER_SHARD` and `count` at most as large.
        """
        ...


def canonical_json(value: object) -> str:
    """Return JSON of one form only: sorted keys, no spaces, ASCII, no NaN.

    >>> canonical_json({"b": 1, "a": (2, "é")})
    '{"a":[2,"\\\\u00e9"],"b":1}'
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    """Return `value` with every mapping a dict and every sequence a list."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(key): _plain(item) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    return value

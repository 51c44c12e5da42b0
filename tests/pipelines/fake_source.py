"""A tiny source for the tests of the build: bytes from a hash, some drops; also a small builder.

Run as a program, it builds a corpus in a process of its own, which a test may kill:
`python fake_source.py OUT TRAIN TEST WORKERS DELAY_SECONDS [SEED]`.
"""

import hashlib
import itertools
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.build import BuildError, build_corpus
from pipelines.engine import IN_PROCESS, Engine, EngineError, LocalEngine
from pipelines.plan import Plan, SampleShard, Side
from pipelines.sample import Sample, Segment, sample_key
from pipelines.split import side_of_group


@dataclass(frozen=True, kw_only=True)
class FakeSource:
    """Two segments a sample; every 7th candidate is dropped."""

    seed: int = 0
    available: int = 100_000
    delay_seconds: float = 0.0
    corpus: str = "fake"
    die_in_shard: int = -1
    fail_in_shard: int = -1
    wrong_group: int = -1
    """The sample of train that gets a group of test."""

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        return Plan(
            corpus=self.corpus,
            settings={"source": "fake", "seed": self.seed, "options": {"é": 1}},
            extensions=("abc", "mid"),
            columns={"collection": "str", "notes": "int", "tempo": "float"},
            available={"train": self.available, "test": self.available},
            read=2 * self.available + 5,
            dropped={"bad": 5},
            provenance={"licence": "none"},
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        time.sleep(self.delay_seconds)
        if self.die_in_shard >= 0 and first == self.die_in_shard * 1000:
            import os

            os._exit(9)
        if self.fail_in_shard >= 0 and first == self.fail_in_shard * 1000:
            raise BuildError("this one shard fails")
        samples: list[Sample] = []
        for i in range(first, first + count):
            group = group_of("test" if i == self.wrong_group else side, i // 2)
            digest = hashlib.sha256(f"{self.seed} {side} {i}".encode()).digest()
            segments = (
                Segment(extension="abc", data=digest[: digest[0] % 20]),
                Segment(extension="mid", data=digest * (digest[1] % 40)),
            )
            samples.append(
                Sample(
                    key=sample_key(plan.corpus, side, i),
                    segments=segments,
                    group=group,
                    meta={"collection": f"c{i % 3}é", "notes": i, "tempo": i / 3},
                )
            )
        return SampleShard(
            samples=samples,
            dropped={"unlucky": sum(i % 7 == 0 for i in range(first, first + count))},
        )


def group_of(side: Side, number: int) -> str:
    """Return group `number` of a side: the first of its names that the split puts there."""
    names = (f"{side}-{number}-{attempt}" for attempt in itertools.count())
    return next(name for name in names if side_of_group(name) == side)


def main() -> int:
    out, train, test, workers, delay, *rest = sys.argv[1:]
    source = FakeSource(delay_seconds=float(delay), seed=int(rest[0]) if rest else 0)
    try:
        report = build_corpus(
            source,
            {"train": int(train), "test": int(test)},
            Path(out),
            engine=LocalEngine(int(workers)),
        )
    except (ValueError, EngineError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.kept_shards, report.built_shards, report.removed_shards)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Speed of shards against webdataset and Python's `tarfile`, in one run on one core.

The same 2 KB samples are written and read by each, in turns, so that all see the same machine.
"Write" is from samples in memory to files that are complete: ours with its hash, index and fsync,
webdataset's as it is. "Read" is every sample's bytes, ours at random, webdataset and `tarfile` in
the order of the file, which is the only one they have. Rates are by the wall clock, and again by
CPU time, which says more on a machine that has other work. The files lie in memory (`/dev/shm`)
where that is possible: the disk is not what is compared, and webdataset does not flush to it.
"""

import argparse
import io
import json
import os
import random
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.build import build_corpus
from pipelines.corpus import Corpus
from pipelines.engine import IN_PROCESS, Engine
from pipelines.plan import SAMPLES_PER_SHARD, Plan, SampleShard, Side
from pipelines.sample import Sample, Segment, sample_key
from pipelines.shards import pack_shard, write_shard
from pipelines.split import side_of_group

NUM_SHARDS = 10
SAMPLE_BYTES = 2048
REPETITIONS = 7


class BytesSource:
    """Random bytes as a corpus, to have something for the reader to open."""

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        """Plan nothing."""
        return Plan(corpus="bench", settings={"source": "bench"}, extensions=("bin",))

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Return random bytes."""
        draw = random.Random(f"{side} {first}")
        return SampleShard(
            samples=[
                Sample(
                    key=sample_key(plan.corpus, side, i),
                    segments=(Segment(extension="bin", data=draw.randbytes(SAMPLE_BYTES)),),
                    group=next(g for k in range(999) if side_of_group(g := f"{i}-{k}") == side),
                )
                for i in range(first, first + count)
            ]
        )


def bench() -> list[dict[str, Any]]:
    """Measure writing and reading; one row a figure, each with its baseline in the same run."""
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # webdataset's own
        with _one_core():
            return _bench(Path(folder))


def _bench(folder: Path) -> list[dict[str, Any]]:
    """Measure in a scratch folder."""
    import webdataset

    source = BytesSource()
    num_samples = NUM_SHARDS * SAMPLES_PER_SHARD
    plan = source.plan({})
    shards = [
        source.shard(plan, "train", number * SAMPLES_PER_SHARD, SAMPLES_PER_SHARD).samples
        for number in range(NUM_SHARDS)
    ]
    build_corpus(source, {"train": num_samples, "test": 0}, folder / "corpus")
    reader = Corpus.open(folder / "corpus").side("train")
    order = list(range(num_samples))
    random.Random(0).shuffle(order)
    tars = [str(path) for path in sorted((folder / "corpus" / "train").glob("*.tar"))]
    total = num_samples * SAMPLE_BYTES

    def write_ours() -> None:
        for number, samples in enumerate(shards):
            write_shard(folder / f"ours-{number}.tar", pack_shard(samples, ("bin",)))

    def write_webdataset() -> None:
        for number, samples in enumerate(shards):
            with webdataset.TarWriter(str(folder / f"wds-{number}.tar")) as writer:
                for sample in samples:
                    writer.write({"__key__": sample.key, "bin": sample.segments[0].data})

    def write_tarfile() -> None:
        for number, samples in enumerate(shards):
            path = folder / f"tarfile-{number}.tar"
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
                for sample in samples:
                    info = tarfile.TarInfo(f"{sample.key}.bin")
                    info.size = SAMPLE_BYTES
                    tar.addfile(info, io.BytesIO(sample.segments[0].data))

    def read_ours_at_random() -> None:
        read = reader.read
        assert sum([len(read(i)[0]) for i in order]) == total

    def read_ours_in_order() -> None:
        read = reader.read
        assert sum([len(read(i)[0]) for i in range(num_samples)]) == total

    def read_webdataset() -> None:
        dataset = webdataset.WebDataset(tars, shardshuffle=False)
        assert sum([len(sample["bin"]) for sample in dataset]) == total

    def read_tarfile() -> None:
        found = 0
        for path in tars:
            with tarfile.open(path) as tar:
                for info in tar:
                    file = tar.extractfile(info)
                    assert file is not None
                    found += len(file.read())
        assert found == total

    tasks: list[Callable[[], None]] = [
        write_ours,
        write_webdataset,
        write_tarfile,
        read_ours_at_random,
        read_ours_in_order,
        read_webdataset,
        read_tarfile,
    ]
    rates: dict[str, list[float]] = {task.__name__: [] for task in tasks}
    cpu_rates: dict[str, list[float]] = {task.__name__: [] for task in tasks}
    for _ in range(REPETITIONS):
        for task in tasks:
            started, cpu_started = time.perf_counter(), time.process_time()
            task()
            rates[task.__name__].append(num_samples / (time.perf_counter() - started))
            cpu_rates[task.__name__].append(num_samples / (time.process_time() - cpu_started))
    pairs = [
        ("write_ours", "write_webdataset"),
        ("write_ours", "write_tarfile"),
        ("read_ours_at_random", "read_webdataset"),
        ("read_ours_at_random", "read_tarfile"),
        ("read_ours_in_order", "read_webdataset"),
    ]
    return [
        _row(name, unit, found[name], baseline, found[baseline])
        for unit, found in (("s", rates), ("CPU-s", cpu_rates))
        for name, baseline in pairs
    ]


def _row(
    name: str, unit: str, ours: list[float], baseline: str, theirs: list[float]
) -> dict[str, Any]:
    """Return one figure."""
    median, baseline_median = statistics.median(ours), statistics.median(theirs)
    return {
        "name": f"shards.{name}",
        "unit": f"samples of 2 KB/{unit}, one core",
        "median": round(median),
        "baseline": baseline,
        "baseline_median": round(baseline_median),
        "ratio": round(median / baseline_median, 1),
        "n": len(ours),
    }


def _memory_folder() -> str | None:
    """Return a file system in memory with room enough, if there is one."""
    folder = Path("/dev/shm")
    if folder.is_dir() and shutil.disk_usage(folder).free > 256 << 20:
        return str(folder)
    return None


@contextmanager
def _one_core() -> Generator[None]:
    """Keep to one core, where the system lets us."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def main() -> None:
    """Print the figures as JSON."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    json.dump(bench(), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

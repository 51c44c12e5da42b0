"""From a corpus on disk to samples in memory: the benchmark's only reading of shards."""

from benchmarks.task import SampleSet
from pipelines.corpus import Corpus
from pipelines.plan import Side
from pipelines.sample import Segment


def load_samples(corpus: Corpus, side: Side, limit: int | None = None) -> SampleSet:
    """Read the first `limit` samples of one side, or all where there are fewer.

    Raises:
        ShardCorrupt: a shard that holds them is not the one that the manifest records.
    """
    reader = corpus.side(side)
    if limit is not None and limit < len(reader):
        reader = corpus.side(side, limit=limit)
    reader.verify()
    return SampleSet(
        corpus=corpus.name,
        config_sha256=corpus.manifest.config_sha256,
        settings=corpus.manifest.settings,
        prompt_bytes=corpus.prompt_bytes,
        shard_sha256=reader.shard_sha256,
        keys=tuple(reader.key(i) for i in range(len(reader))),
        groups=tuple(reader.groups()),
        files=tuple(
            tuple(
                Segment(extension=extension, data=data)
                for extension, data in zip(corpus.extensions, reader.read(i), strict=True)
            )
            for i in range(len(reader))
        ),
    )
